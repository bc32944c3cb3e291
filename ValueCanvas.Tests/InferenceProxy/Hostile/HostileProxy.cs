using System.Net.Sockets;
using System.Text;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy.Hostile;

[assembly: AssemblyFixture(typeof(HostileProxy))]

namespace ValueCanvas.Tests.InferenceProxy.Hostile;

/// <summary>One proxy process with two replicas behind it, started when the first test asks for it.</summary>
public sealed class HostileProxy : IAsyncLifetime
{
    public const long MaxBufferedBytes = 80 * 1024 * 1024;

    private readonly SemaphoreSlim _once = new(1, 1);
    private FakeReplica[] _replicas = [];
    private ServiceProcess? _process;

    internal HttpClient Client { get; } = new() { Timeout = TimeSpan.FromSeconds(60) };

    internal ServiceProcess Process => _process ?? throw new InvalidOperationException("StartedAsync comes first.");

    internal IEnumerable<ReceivedRequest> Received => _replicas.SelectMany(replica => replica.Received);

    public async Task StartedAsync()
    {
        await _once.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            if (_process is null)
            {
                _replicas = [await FakeReplica.StartAsync(FakeReplica.AnswerAsync), await FakeReplica.StartAsync(FakeReplica.AnswerAsync)];
                _process = await ServiceProcess.StartProxyAsync(_replicas.Select(replica => replica.Address),
                    ("Inference:MaxBufferedBytes", MaxBufferedBytes.ToString(System.Globalization.CultureInfo.InvariantCulture)));
                Client.BaseAddress = _process.Address;
            }
        }
        finally
        {
            _once.Release();
        }
    }

    internal async Task<TcpClient> ConnectAsync(string head)
    {
        var client = new TcpClient();
        await client.ConnectAsync(Process.Address.Host, Process.Address.Port, TestContext.Current.CancellationToken);
        await client.GetStream().WriteAsync(
            Encoding.Latin1.GetBytes(head.ReplaceLineEndings("\r\n")), TestContext.Current.CancellationToken);
        return client;
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        if (_process is not null)
            await _process.DisposeAsync();

        foreach (var replica in _replicas)
            await replica.DisposeAsync();

        _once.Dispose();
    }
}

/// <summary>One after another: they measure what the process uses.</summary>
[CollectionDefinition(nameof(Hostile))]
public sealed class Hostile;
