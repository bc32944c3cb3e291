using System.Text.Json;

namespace ValueCanvas.Tests.VllmSimulator;

public sealed class FaultTests : IDisposable
{
    private readonly SimulatorServer _server = SimulatorServer.Start();

    public void Dispose() => _server.Dispose();

    private static object Stream => new { messages = SimulatorServer.User("Hi"), stream = true, max_tokens = 20 };

    private static object Whole => new { messages = SimulatorServer.User("Hi"), max_tokens = 20 };

    [Fact]
    public async Task Status_IsAnsweredInVllmsShape()
    {
        using var response = await _server.SendAsync("/v1/chat/completions", Whole, "status=429; retry-after=2");
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))
            .RootElement.GetProperty("error");

        Assert.Equal(429, (int)response.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(2), response.Headers.RetryAfter!.Delta);
        Assert.Equal(429, error.GetProperty("code").GetInt32());
    }

    [Fact]
    public async Task CutAfter_BreaksTheConnectionAfterSoManyTokens()
    {
        using var response =
            await _server.SendAsync("/v1/chat/completions", Stream, "cut-after=5", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        var tokens = -1;

        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
                tokens += line.StartsWith("data:", StringComparison.Ordinal) ? 1 : 0;
        });
        Assert.Equal(5, tokens);
    }

    [Fact]
    public async Task CutAfter_WholeAnswer_BreaksInTheMiddle()
    {
        await Assert.ThrowsAsync<HttpRequestException>(() => _server.SendAsync("/v1/chat/completions", Whole, "cut-after=1"));
    }

    [Fact]
    public async Task StallAfter_SendsNothingMoreUntilTheClientLeaves()
    {
        using var leave = new CancellationTokenSource();
        using var response =
            await _server.SendAsync("/v1/chat/completions", Stream, "stall-after=3", HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        for (var line = 0; line < 8; line++)
        {
            Assert.NotNull(await reader.ReadLineAsync(TestContext.Current.CancellationToken).AsTask()
                .WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        }

        leave.CancelAfter(TimeSpan.FromMilliseconds(200));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reader.ReadLineAsync(leave.Token).AsTask());
    }

    [Fact]
    public async Task MalformedAfter_PutsOneBrokenEventIntoTheStream()
    {
        var events = await _server.EventsAsync("/v1/chat/completions", Stream, "malformed-after=3");

        Assert.ThrowsAny<JsonException>(() => JsonDocument.Parse(events[4]));
        Assert.Equal("[DONE]", events[^1]);
        Assert.All(events.Where((_, index) => index != 4 && index != events.Count - 1), text => JsonDocument.Parse(text));
    }

    [Fact]
    public async Task Header_NotAFault_SaysWhatIsOne()
    {
        var (status, answer) = await _server.PostAsync("/v1/chat/completions", Whole, "explode=now");

        Assert.Equal(400, status);
        Assert.Contains("stall-after", answer.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task ServerWide_WithProbability_FailsThatShareUntilDeleted()
    {
        await _server.OkAsync("/simulator/faults", new { status = 503, probability = 0.3 });
        var failed = 0;
        for (var i = 0; i < 40; i++)
            failed += (await _server.PostAsync("/v1/chat/completions", Whole)).Status == 503 ? 1 : 0;
        using var deleted = await _server.Client.DeleteAsync("/simulator/faults", TestContext.Current.CancellationToken);
        var after = await _server.PostAsync("/v1/chat/completions", Whole);

        Assert.InRange(failed, 10, 14);
        Assert.Equal(200, after.Status);
    }

    [Fact]
    public async Task ServerWide_OnHealth_TakesTheReplicaDown()
    {
        await _server.OkAsync("/simulator/faults", new { fault = "status=503;path=/health" });

        using var health = await _server.Client.GetAsync("/health", TestContext.Current.CancellationToken);
        var chat = await _server.PostAsync("/v1/chat/completions", Whole);

        Assert.Equal(503, (int)health.StatusCode);
        Assert.Equal(200, chat.Status);
    }

    [Fact]
    public async Task ServerWide_Wrong_IsRefused() =>
        Assert.Equal(400, (await _server.PostAsync("/simulator/faults", new { status = 200 })).Status);
}
