namespace ValueCanvas.Core.Caching.Answers;

/// <summary>
/// The proxy's word that another model than the one that the name stands for has answered: a header, or, where the head was out already, in
/// the comment at the end of a stream.
/// </summary>
internal static class FallbackMark
{
    public const string Header = "x-valuecanvas-fallback";

    public static ReadOnlySpan<byte> Bytes => "x-valuecanvas-fallback"u8;
}
