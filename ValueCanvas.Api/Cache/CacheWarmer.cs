using System.Text;
using System.Text.Json;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Cache;

/// <summary>
/// Asks what will be asked, a few at a time, so that its answers are kept by then. They are calls like any others, and cost as much.
/// </summary>
internal sealed class CacheWarmer(InferenceClient inference)
{
    private const int Default = 4;

    public async Task<CacheWarmingData> WarmAsync(CacheWarmingBody body, Caller caller, CancellationToken cancellationToken)
    {
        var results = new CacheWarmed[body.Requests!.Count];
        await Parallel.ForAsync(
            0,
            results.Length,
            new ParallelOptions { MaxDegreeOfParallelism = body.Concurrency ?? Default, CancellationToken = cancellationToken },
            async (index, ct) => results[index] = await AskAsync(index, body.Requests[index], caller, ct));
        var warmed = results.Count(result => result.Status == StatusCodes.Status200OK);
        return new(warmed, results.Length - warmed, results);
    }

    private async Task<CacheWarmed> AskAsync(int index, JsonElement body, Caller caller, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/chat/completions")
        {
            Content = new StringContent(body.GetRawText(), Encoding.UTF8, "application/json"),
        };
        try
        {
            using var response = await inference.ForwardAsync(
                request, caller.Call("/api/cache/warm", CacheControl.Always), cancellationToken);
            // To its end, for only whole answers are kept.
            await response.Content.CopyToAsync(Stream.Null, cancellationToken);
            return new(index, (int)response.StatusCode, response.Headers.TryGetValues(CacheHeaders.Status, out var said) ? said.First()
                : "BYPASS");
        }
        catch (Exception e) when (e is InferenceException or HttpRequestException or IOException
            && !cancellationToken.IsCancellationRequested)
        {
            return new(index, StatusCodes.Status503ServiceUnavailable, "BYPASS");
        }
    }
}
