using System.Net;
using System.Net.Http.Headers;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Statuses that speak of the proxy's own standing with a provider and not of the client's request: its keys and its rate.</summary>
internal static class UpstreamVerdict
{
    private static readonly TimeSpan DefaultPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    /// <summary><see cref="AttemptFailure.Credential"/>: another key is needed; the one given is disabled. <see cref="AttemptFailure.RateLimited"/>:
    /// the target rests for <paramref name="pause"/>.</summary>
    public static AttemptFailure Judge(
        HttpResponseMessage response, ReadOnlySpan<byte> beginning, Credential? credential, TimeSpan rest, DateTimeOffset now, out TimeSpan pause)
    {
        pause = TimeSpan.Zero;
        switch (response.StatusCode)
        {
            case HttpStatusCode.Unauthorized or HttpStatusCode.PaymentRequired or HttpStatusCode.Forbidden:
            // OpenAI's way of saying 402.
            case HttpStatusCode.TooManyRequests when credential is not null && beginning.IndexOf("\"insufficient_quota\""u8) >= 0:
                credential?.Disable((int)response.StatusCode, rest);
                return AttemptFailure.Credential;
            case HttpStatusCode.TooManyRequests:
                pause = Pause(response.Headers, now);
                return AttemptFailure.RateLimited;
            default:
                return AttemptFailure.None;
        }
    }

    private static TimeSpan Pause(HttpResponseHeaders headers, DateTimeOffset now)
    {
        var asked = headers.TryGetValues("retry-after-ms", out var text) && double.TryParse(text.First(), out var milliseconds) && milliseconds >= 0
            ? TimeSpan.FromMilliseconds(Math.Min(milliseconds, LongestPause.TotalMilliseconds))
            : headers.RetryAfter?.Delta ?? (headers.RetryAfter?.Date is { } date ? date - now : DefaultPause);
        return asked < TimeSpan.Zero ? TimeSpan.Zero : asked > LongestPause ? LongestPause : asked;
    }
}
