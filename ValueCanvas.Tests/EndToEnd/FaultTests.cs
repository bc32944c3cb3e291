using System.Net;
using System.Net.Http.Json;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace ValueCanvas.Tests.EndToEnd;

[Collection(nameof(EndToEnd))]
public sealed class FaultTests(AppHostFixture system)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Redis_Stopped_ChatAndCanvasStillAnswer_AndReadinessSaysDegraded()
    {
        var app = await system.StartedAsync();
        var api = await system.ApiAsync();
        await CommandAsync(app, "cache", KnownResourceCommands.StopCommand);
        try
        {
            await api.UntilAsync("/health/ready", HttpStatusCode.OK, Limit, "\"status\":\"degraded\"");

            using var chat = await api.PostAsJsonAsync("/api/llm/chat", new { prompt = "Test" }, TestContext.Current.CancellationToken);
            await chat.DataAsync(HttpStatusCode.OK);
            using var canvas = await api.PostAsJsonAsync("/api/canvas/generate",
                new { businessDescription = "A harbour café", industry = "Food" }, TestContext.Current.CancellationToken);
            await canvas.DataAsync(HttpStatusCode.Created);
            await api.FinishedJobAsync(await api.EnqueueCanvasAsync("A harbour café"), Limit);
        }
        finally
        {
            await CommandAsync(app, "cache", KnownResourceCommands.StartCommand);
        }

        await api.UntilAsync("/health/ready", HttpStatusCode.OK, Limit, "\"status\":\"healthy\"");
    }

    [Fact]
    public async Task PostgreSql_StoppedAndStarted_ReadinessTellsTheTruth_AndEverythingRecovers()
    {
        var app = await system.StartedAsync();
        var api = await system.ApiAsync();
        await CommandAsync(app, "postgres", KnownResourceCommands.StopCommand);
        try
        {
            // Whoever is known goes on asking models for a while: not out of use.
            await api.UntilAsync("/health/ready", HttpStatusCode.OK, Limit, "\"database\":\"degraded\"");

            using var list = await api.GetAsync("/api/canvas", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, list.StatusCode);
            Assert.Equal("application/problem+json", list.Content.Headers.ContentType?.MediaType);
        }
        finally
        {
            await CommandAsync(app, "postgres", KnownResourceCommands.StartCommand);
        }

        await api.UntilAsync("/health/ready", HttpStatusCode.OK, Limit, "\"database\":\"healthy\"");
    }

    [Fact]
    public async Task ModelServers_AllStopped_ReadinessIs503_AndAChatSaysSo()
    {
        var app = await system.StartedAsync();
        var api = await system.ApiAsync();
        foreach (var server in (string[])["vllm-0", "vllm-1"])
            await CommandAsync(app, server, KnownResourceCommands.StopCommand);
        try
        {
            await api.UntilAsync("/health/ready", HttpStatusCode.ServiceUnavailable, Limit);

            // What was asked before may be answered from the cache.
            using var chat = await api.PostAsJsonAsync(
                "/api/llm/chat", new { prompt = "Not asked before" }, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, chat.StatusCode);
        }
        finally
        {
            foreach (var server in (string[])["vllm-0", "vllm-1"])
                await CommandAsync(app, server, KnownResourceCommands.StartCommand);
        }

        // Each proxy finds out for itself.
        await api.UntilAsync("/health/ready", HttpStatusCode.OK, Limit);
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        bound.CancelAfter(Limit);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        for (var answered = 0; answered < 4; await tick.WaitForNextTickAsync(bound.Token))
        {
            using var again = await api.PostAsJsonAsync("/v1/chat/completions",
                new { model = "default", max_tokens = 2, messages = new[] { new { role = "user", content = "Test" } } }, bound.Token);
            answered += again.IsSuccessStatusCode ? 1 : 0;
        }
    }

    private static async Task CommandAsync(DistributedApplication app, string resource, string command)
    {
        var result = await app.ResourceCommands.ExecuteCommandAsync(resource, command, TestContext.Current.CancellationToken);
        Assert.True(result.Success, $"{command} of {resource}: {result.Message}");
    }
}
