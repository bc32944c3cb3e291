namespace ValueCanvas.Api.Protection;

/// <summary>Configuration section <c>Protection</c>.</summary>
internal sealed class ProtectionOptions
{
    public const string Section = "Protection";

    /// <summary>The secret under which network addresses are stored; the same at every instance. Without it they are not stored.</summary>
    public string? SourceKey { get; set; }
}
