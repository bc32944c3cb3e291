namespace ValueCanvas.InferenceProxy.Routing;

/// <summary><c>Inference:Models:NAME</c>: the targets that a model's name means, in the order in which they are tried, and what may be
/// declined by one of them and go on to the next: <see cref="ContextWindow"/>, <see cref="ContentPolicy"/>, both (also when empty) or
/// <see cref="Nothing"/>.</summary>
internal sealed record ModelOptions(
    string Name, IReadOnlyList<TargetOptions> Targets, IReadOnlyDictionary<string, IReadOnlyList<TargetOptions>> Chains,
    IReadOnlyList<string> FallbackOn)
{
    public const string ContextWindow = "context_window";
    public const string ContentPolicy = "content_policy";
    public const string Nothing = "none";

    /// <summary>By configuration key. <c>Name</c> gives the name that the key cannot hold, because it has a colon; <c>Chains</c> other
    /// targets for one risk level.</summary>
    public static Dictionary<string, ModelOptions> Read(IConfiguration models) => models.GetChildren().ToDictionary(
        model => model.Key,
        model => new ModelOptions(
            model["Name"] is { Length: > 0 } name ? name : model.Key,
            TargetOptions.Read(model.GetSection("Targets")),
            model.GetSection("Chains").GetChildren().ToDictionary(
                chain => chain.Key, chain => TargetOptions.Read(chain), StringComparer.OrdinalIgnoreCase),
            [.. model.GetSection("FallbackOn").GetChildren().Select(cause => cause.Value ?? "")]),
        StringComparer.OrdinalIgnoreCase);
}

/// <summary>One target, configured as two fields or as the string <c>provider/model</c>. Without a provider any that serves the model will
/// do; without a model it is the name that clients use.</summary>
internal sealed record TargetOptions(string? Provider, string? Model)
{
    public static IReadOnlyList<TargetOptions> Read(IConfiguration targets) =>
        [.. targets.GetChildren().Select(target => target.Value is { Length: > 0 } text
            ? Parse(text)
            : new TargetOptions(target["Provider"], target["Model"]))];

    private static TargetOptions Parse(string text)
    {
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? new TargetOptions(text, null) : new TargetOptions(text[..slash], text[(slash + 1)..]);
    }
}
