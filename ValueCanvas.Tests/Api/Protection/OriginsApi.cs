namespace ValueCanvas.Tests.Api.Protection;

/// <summary>The Api with neither database nor Redis, for the pages of two origins.</summary>
public sealed class OriginsApi : IAsyncDisposable
{
    internal ApiHost Host { get; } = new(settings:
        [("Protection:AllowedOrigins:0", "https://app.example.com"), ("Protection:AllowedOrigins:1", "http://localhost:3000")]);

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
