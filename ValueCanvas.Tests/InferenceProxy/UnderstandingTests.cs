using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.Tests.InferenceProxy;

/// <summary>What one target's provider could not understand goes to a later one that can.</summary>
public sealed class UnderstandingTests
{
    private const string Pdf = """
        {"model":"clever","max_tokens":9,"messages":[{"role":"user","content":[
          {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA=="}}]}]}
        """;

    private const string TwoAnswers = """{"model":"clever","n":2,"messages":[{"role":"user","content":"Hi"}]}""";
    private const string Audio = """{"model":"clever","messages":[{"role":"user","content":[{"type":"input_audio"}]}]}""";
    private const string Message = """
        {"id":"msg_1","type":"message","role":"assistant","model":"claude-large","content":[{"type":"text","text":"Hi."}],
         "stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":9}}
        """;

    private const string TooLong =
        """{"error":{"message":"first: maximum context length","type":"x","param":null,"code":"context_length_exceeded"}}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/v1/chat/completions", TwoAnswers, "anthropic", "vllm")]
    [InlineData("/v1/chat/completions", Audio, "anthropic", "vllm")]
    [InlineData("/v1/messages", Pdf, "vllm", "anthropic")]
    public async Task Target_ThatCannotTakeTheRequest_IsPassedOverWithoutAnAttempt(string path, string body, string first, string second)
    {
        await using var anthropic = await FakeReplica.StartAsync(AnswerAsAnthropicAsync);
        await using var vllm = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start(
            anthropic, vllm, [first, second], ("Inference:Retries:Ratio", "0"), ("Inference:Retries:MinPerSecond", "0"));

        using var response = await proxy.PostAsync(body, path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(second, response.Headers.GetValues("x-valuecanvas-provider").Single());
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        Assert.Empty((first == "vllm" ? vllm : anthropic).Received);
        var passedOver = proxy.Services.GetRequiredService<Fleet>().Current.Replicas.Single(replica => replica.Provider == first);
        Assert.Equal((0, 0), (passedOver.Breakers.All.Sum(breaker => breaker.View(new()).Samples), passedOver.InFlight));
    }

    [Theory]
    [InlineData("/v1/chat/completions", TwoAnswers, "anthropic", "'n' must be 1")]
    [InlineData("/v1/messages", Pdf, "vllm", "'document'")]
    public async Task Targets_ThatAllCannot_Are400WithTheReason(string path, string body, string provider, string reason)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start(replica, replica, [provider, provider]);

        using var response = await proxy.PostAsync(body, path);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(reason, await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("0", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        Assert.Empty(replica.Received);
    }

    [Fact]
    public async Task Target_ThatDeclined_IsTheAnswerWhereTheNextCannotTakeTheRequest()
    {
        await using var anthropic = await FakeReplica.StartAsync(AnswerAsAnthropicAsync);
        await using var vllm = await FakeReplica.StartAsync(async context =>
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(TooLong, context.RequestAborted);
        });
        await using var proxy = Start(anthropic, vllm, ["vllm", "anthropic"]);

        using var response = await proxy.PostAsync(TwoAnswers);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(TooLong, await response.Content.ReadAsStringAsync(Cancel));
        Assert.Empty(anthropic.Received);
    }

    [Fact]
    public async Task Target_ThatCouldTakeTheRequestButIsDown_Is503()
    {
        await using var anthropic = await FakeReplica.StartAsync(AnswerAsAnthropicAsync);
        await using var vllm = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = Start(anthropic, vllm, ["anthropic", "vllm"]);
        using (await proxy.PostAsync(TwoAnswers))
            await vllm.StopAsync();

        await ProxyHost.UntilAsync(() =>
            Task.FromResult(proxy.Services.GetRequiredService<Fleet>().Current.Replicas.Any(
                replica => replica.State.Status == ReplicaStatus.Down)));
        using var response = await proxy.PostAsync(TwoAnswers);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal("no_healthy_replica", (await response.ErrorAsync()).GetProperty("code").GetString());
    }

    private static ProxyHost Start(FakeReplica anthropic, FakeReplica vllm, string[] targets, params (string, string)[] settings) =>
        ProxyHost.Start(vllm,
        [
            ("Inference:Providers:anthropic:Endpoints:0", anthropic.Address),
            ("Inference:Providers:anthropic:ApiKeys:0", "anthropic-key-0123456789"),
            .. targets.Select((target, i) =>
                ($"Inference:Models:clever:Targets:{i}", target == "vllm" ? "vllm/default" : "anthropic/claude-large")),
            .. settings,
        ]);

    private static async Task AnswerAsAnthropicAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(Message, context.RequestAborted);
    }
}
