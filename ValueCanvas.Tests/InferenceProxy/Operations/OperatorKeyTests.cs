using System.Net;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Callers;

namespace ValueCanvas.Tests.InferenceProxy.Operations;

public sealed class OperatorKeyTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("wrong")]
    [InlineData(ProxyHost.OperatorKey + "x")]
    [InlineData("the-internal-key-of-tests")]
    public async Task Action_WithoutTheKey_Is401_AndChangesNothing(string? key)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica, ("Inference:InternalKey", "the-internal-key-of-tests"));
        proxy.Client.DefaultRequestHeaders.Add(InternalCaller.KeyHeader, "the-internal-key-of-tests");

        foreach (var action in (string[])["open", "close", "reset", "drain", "undrain"])
        {
            using var response = await proxy.SendActionAsync($"{new Uri(replica.Address).Authority}/{action}", key);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().Scheme);
            Assert.Equal("invalid_operator_key", (await response.ErrorAsync()).GetProperty("code").GetString());
        }

        Assert.False((await proxy.ReplicaAsync(0)).GetProperty("draining").GetBoolean());
        using var answered = await proxy.PostAsync("""{"model":"default"}""");
        Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
    }

    [Fact]
    public async Task Action_NoKeyConfigured_Is403AndSaysHowToSetOne()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica, ("Inference:OperatorKey", ""));

        using var response = await proxy.SendActionAsync($"{new Uri(replica.Address).Authority}/drain", "");
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("Inference:OperatorKey", (await response.ErrorAsync()).GetProperty("message").GetString());
        using var shown = await proxy.Client.GetAsync("/providers", Cancel);
        Assert.Equal(HttpStatusCode.OK, shown.StatusCode);
    }

    [Fact]
    public void Key_TooShort_StopsTheStart()
    {
        var failure = Assert.Throws<OptionsValidationException>(
            () => ProxyHost.Start(["http://127.0.0.1:1"], ("Inference:OperatorKey", "short")));
        Assert.Contains("Inference:OperatorKey", failure.Message);
    }
}
