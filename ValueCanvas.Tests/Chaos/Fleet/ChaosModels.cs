using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Chaos.Fleet;

/// <summary>
/// What the workers ask: model servers whose right answers are known, behind the real proxy as a process; or, where it only has to be
/// quick, one in the proxy's place.
/// </summary>
internal sealed class ChaosModels : IAsyncDisposable
{
    public const string InternalKey = "the-internal-key-of-tests";

    private readonly List<FakeReplica> _replicas = [];
    private readonly TimeSpan _pace;
    private FakeInference? _instead;
    private ServiceProcess? _proxy;

    private ChaosModels(TimeSpan pace) => _pace = pace;

    public string Address => _instead?.Address ?? _proxy!.Address.AbsoluteUri.TrimEnd('/');

    /// <summary>Called, with the prompt of a job, before it is answered.</summary>
    public ConcurrentDictionary<string, Func<Task>> Asked { get; } = new();

    public static async Task<ChaosModels> StartAsync(ChaosSize size)
    {
        var models = new ChaosModels(size.Pace);
        if (!size.Proxied)
        {
            models._instead = await FakeInference.StartAsync();
            models._instead.Answer = models.AnswerAsync;
            return models;
        }

        for (var i = 0; i < 2; i++)
        {
            models._replicas.Add(await FakeReplica.StartAsync(context =>
            {
                context.Items[nameof(FakeInference.BodyOf)] = context.Items[FakeReplica.BodyItem];
                return models.AnswerAsync(context);
            }));
        }

        models._proxy = await ServiceProcess.StartProxyAsync(
            models._replicas.Select(replica => replica.Address), ("Inference:InternalKey", InternalKey));
        return models;
    }

    /// <summary>At once, in the middle of whatever it answers.</summary>
    public Task KillAsync(int replica) => _replicas[replica].StopAsync();

    /// <summary>Another in its place.</summary>
    public Task ReplaceAsync(int replica) => _replicas[replica].StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_proxy is not null)
            await _proxy.DisposeAsync();
        foreach (var replica in _replicas)
            await replica.DisposeAsync();
        if (_instead is not null)
            await _instead.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var prompt = FakeInference.BodyOf(context).GetProperty("messages")[0].GetProperty("content").GetString()!;
        if (Asked.TryGetValue(prompt, out var told))
            await told();
        await ChaosJob.AnswerAsync(context, _pace);
    }
}
