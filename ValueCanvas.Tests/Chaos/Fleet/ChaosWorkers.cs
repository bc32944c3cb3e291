using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Worker;

namespace ValueCanvas.Tests.Chaos.Fleet;

/// <summary>Worker processes. Whoever kills one puts another in its place, as an orchestrator would.</summary>
internal sealed class ChaosWorkers(ChaosSize size, string database, string redis, string inference) : IAsyncDisposable
{
    private readonly List<WorkerProcess> _workers = [];
    private readonly SemaphoreSlim _one = new(1, 1);

    /// <summary>Where rows of usage wait that PostgreSQL did not take.</summary>
    public string Books { get; } = UsageHost.NewDirectory();

    public WorkerProcess this[int index] => _workers[index];

    /// <summary>What they are configured with, beside addresses.</summary>
    public (string Key, string Value)[] Settings =>
    [
        .. size.Leases, ("Worker:Concurrency", $"{size.Concurrency}"), ("Worker:MaxCrashes", $"{size.MaxCrashes}"),
        ("Usage:Directory", Books), ("Inference:InternalKey", ChaosModels.InternalKey),
        ("Usage:Prices:0:Model", "*"), ("Usage:Prices:0:Input", "10"), ("Usage:Prices:0:Output", "100"),
    ];

    public void Start()
    {
        for (var i = 0; i < size.Workers; i++)
            _workers.Add(StartOne());
    }

    /// <summary>In SQL, of a row with a worker: it is that one.</summary>
    public string Is(int index) => $"worker_id LIKE '%-{_workers[index].Id}-%'";

    public Task KillAsync(int index) => _workers[index].KillAsync();

    /// <summary>Another for one that was killed.</summary>
    public async Task ReplaceAsync(int index)
    {
        await _workers[index].DisposeAsync();
        _workers[index] = StartOne();
    }

    /// <summary>Kills whoever has that name in the table, if it is still one of these, and puts another in its place.</summary>
    public async Task KillAsync(string workerId)
    {
        await _one.WaitAsync();
        try
        {
            var index = _workers.FindIndex(worker => workerId.Contains($"-{worker.Id}-", StringComparison.Ordinal));
            if (index < 0)
                return;
            await KillAsync(index);
            await ReplaceAsync(index);
        }
        finally
        {
            _one.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in _workers)
            await worker.DisposeAsync();
        _one.Dispose();
    }

    private WorkerProcess StartOne() => WorkerProcess.Start(database, redis, inference, Settings);
}
