using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace ValueCanvas.Tests.EndToEnd;

/// <summary>What the end-to-end tests do with the API again and again.</summary>
internal static class ApiCalls
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);

    public static async Task<JsonElement> DataAsync(this HttpResponseMessage response, HttpStatusCode expected)
    {
        var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == expected, $"{(int)response.StatusCode} {body}");
        using var document = JsonDocument.Parse(body);
        Assert.True(document.RootElement.GetProperty("success").GetBoolean());
        return document.RootElement.GetProperty("data").Clone();
    }

    public static async Task<Guid> EnqueueCanvasAsync(this HttpClient api, string businessDescription)
    {
        using var response = await api.PostAsJsonAsync("/api/queue/llm", new
        {
            type = "canvas_generation",
            promptKey = "canvas.generate",
            promptVariables = new { businessDescription },
        }, TestContext.Current.CancellationToken);
        return (await response.DataAsync(HttpStatusCode.Accepted)).GetProperty("jobId").GetGuid();
    }

    /// <summary>Polls the job until it is finished; fails where that takes too long.</summary>
    public static async Task<JsonElement> FinishedJobAsync(this HttpClient api, Guid jobId, TimeSpan limit)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        bound.CancelAfter(limit);
        using var timer = new PeriodicTimer(PollInterval);
        do
        {
            using var response = await api.GetAsync($"/api/queue/jobs/{jobId}", bound.Token);
            if (!response.IsSuccessStatusCode)
                continue;
            var job = await response.DataAsync(HttpStatusCode.OK);
            if (job.GetProperty("status").GetString() is "succeeded" or "failed" or "cancelled" or "completed" or "discarded")
                return job;
        }
        while (await timer.WaitForNextTickAsync(bound.Token));
        throw new InvalidOperationException("Unreachable: the timer ends by its cancellation token.");
    }

    /// <summary>Asks until the address answers with the status; fails where that takes too long.</summary>
    public static async Task UntilAsync(
        this HttpClient client, string path, HttpStatusCode expected, TimeSpan limit, string? containing = null)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        bound.CancelAfter(limit);
        using var timer = new PeriodicTimer(PollInterval);
        var last = "no answer";
        try
        {
            do
            {
                try
                {
                    using var response = await client.GetAsync(path, bound.Token);
                    last = $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(bound.Token)}";
                    if (response.StatusCode == expected && (containing is null || last.Contains(containing, StringComparison.Ordinal)))
                        return;
                }
                catch (HttpRequestException exception)
                {
                    last = exception.Message;
                }
            }
            while (await timer.WaitForNextTickAsync(bound.Token));
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            Assert.Fail($"{path} did not become {(int)expected} {containing} within {limit}; last: {last}");
        }
    }
}
