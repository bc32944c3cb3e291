using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.Tests.InferenceProxy.Routing;

public sealed class BytesPerTokenTests
{
    private readonly BytesPerToken _learned = new();

    [Fact]
    public void Model_NeverSeen_HasWhatIsAssumed() => Assert.Equal(4, _learned.Of("any"));

    [Fact]
    public void Ratio_IsLearnedForEachModel_AndFollowsAChange()
    {
        Learn("code", 3.0, 200);
        Learn("chinese", 2.0, 200);
        Assert.Equal(3, _learned.Of("code"), 1);
        Assert.Equal(2, _learned.Of("chinese"), 1);

        Learn("code", 5.0, 400);
        Assert.Equal(5, _learned.Of("code"), 1);
    }

    [Fact]
    public void Outliers_MoveItLittle_AndShortPromptsNotAtAll()
    {
        Learn("m", 4.2, 200);
        var before = _learned.Of("m");

        _learned.Learned("m", 20_000_000, 1_500); // an image
        _learned.Learned("m", 3, 31);
        _learned.Learned("m", 0, 500); // nothing was seen of the prompt

        Assert.InRange(_learned.Of("m"), before, before + 0.5);
    }

    [Fact]
    public void Models_WithoutEnd_AreNotRemembered()
    {
        for (var i = 0; i < 2_000; i++)
            _learned.Learned($"m{i}", 8_000, 1_000);

        Assert.Equal(1_024, Enumerable.Range(0, 2_000).Count(i => _learned.Of($"m{i}") != 4));
    }

    [Fact]
    public void Capacity_OfACache_IsItsTokensInBytes()
    {
        var load = new ReplicaLoad { Live = new LiveLoad(0, 0, 0, CacheTokens: 64_000, 0) };
        var options = new RoutingOptions();

        Assert.Equal(1_000, PrefixAffinity.Capacity(load, options, bytesPerToken: 4));
        Assert.Equal(500, PrefixAffinity.Capacity(load, options, bytesPerToken: 2));
        Assert.Equal(options.MaxPrefixBlocks, PrefixAffinity.Capacity(new ReplicaLoad(), options, bytesPerToken: 2));
    }

    [Fact]
    public async Task Usage_OfAnswers_Teaches()
    {
        await using var replica = await FakeReplica.StartAsync(context => context.Response.WriteAsync(
            """{"choices":[],"usage":{"prompt_tokens":5000,"completion_tokens":1,"total_tokens":5001}}""", context.RequestAborted));
        await using var proxy = ProxyHost.Start(replica);

        for (var i = 0; i < 40; i++)
        {
            using var response = await proxy.PostAsync(
                $$"""{"model":"default","messages":[{"role":"user","content":"{{new string('x', 10_000)}}"}]}""");
        }

        var learned = proxy.Services.GetRequiredService<BytesPerToken>();
        await ProxyHost.UntilAsync(() => Task.FromResult(learned.Of("small-model") < 2.2));
        Assert.Equal(4, learned.Of("default"));
    }

    private void Learn(string model, double ratio, int prompts)
    {
        for (var i = 0; i < prompts; i++)
            _learned.Learned(model, (long)(ratio * 1_000), 1_000);
    }
}
