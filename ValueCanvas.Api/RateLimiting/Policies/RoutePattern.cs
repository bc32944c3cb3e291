namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>A path and what is below it, of any method or of one: <c>/v1</c>, <c>POST /api/canvas/generate</c>.</summary>
internal sealed record RoutePattern(string? Method, PathString Path)
{
    public bool Matches(string method, PathString path) =>
        (Method is null || HttpMethods.Equals(Method, method)) && path.StartsWithSegments(Path, StringComparison.OrdinalIgnoreCase);

    public static RoutePattern? TryParse(string text)
    {
        var parts = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return parts switch
        {
            [['/', ..] path] => new(null, Plain(path)),
            [var method, ['/', ..] path] when method.All(char.IsAsciiLetter) => new(method.ToUpperInvariant(), Plain(path)),
            _ => null,
        };
    }

    // "/" stands for every path.
    private static PathString Plain(string path) => new(path.TrimEnd('/') is { Length: > 0 } trimmed ? trimmed : null);
}
