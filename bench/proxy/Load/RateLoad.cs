using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.ProxyBench.Upstream;

namespace ValueCanvas.ProxyBench.Load;

/// <summary>
/// Open-loop load: requests come at random times (Poisson) at a given rate, whether or not earlier ones are answered; one that finds no
/// free connection waits for it, and its latency counts from when it came. Besides the percentiles of the whole run it gives those of its
/// median second: one slow second of a shared machine fills the tail of a run, and says nothing about the other nine.
/// </summary>
internal sealed class RateLoad(Target target, double requestsPerSecond, int connections, byte[]? body = null)
{
    public const string OfTheMedianSecond = "latency_us_of_the_median_second";

    private readonly byte[] _request = HttpBytes.Request(target, body ?? Prompts.Chat(1024, stream: false));
    private readonly ConcurrentBag<Connection> _idle = [];
    private readonly ConcurrentQueue<long> _waiting = new();
    private readonly Random _random = new(1);
    private double _nextArrival;
    private long _start;
    private int _failed;

    public async Task<JsonObject> RunAsync(TimeSpan duration, CancellationToken cancellationToken)
    {
        var all = new List<Connection>();
        for (var i = 0; i < connections; i++)
        {
            all.Add(new Connection(await HttpBytes.ConnectAsync(target.Port, cancellationToken), (int)Math.Ceiling(duration.TotalSeconds)));
            _idle.Add(all[i]);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var receivers = all.Select(connection => ReceiveAsync(connection, stop.Token)).ToArray();
        _start = Stopwatch.GetTimestamp();
        using (new Ticker(TimeSpan.FromMicroseconds(100), _ => Release()))
            await Task.Delay(duration, TimeProvider.System, cancellationToken);

        await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, cancellationToken);
        await stop.CancelAsync();
        await Task.WhenAll(receivers);
        all.ForEach(c => c.Socket.Dispose());
        var seconds = Enumerable.Range(0, all[0].Seconds.Length).Select(second => Samples.Of(all.Select(c => c.Seconds[second]))).ToArray();
        var latency = Samples.Of(seconds);
        return new JsonObject
        {
            ["requests_per_second"] = Math.Round(latency.Count / duration.TotalSeconds, 0),
            ["asked_requests_per_second"] = Math.Round(requestsPerSecond, 0),
            ["unanswered"] = _waiting.Count,
            ["broken_connections"] = _failed,
            ["latency_us"] = latency.ToJson(),
            [OfTheMedianSecond] = Samples.MedianOf(seconds),
        };
    }

    // Runs on the ticker's thread alone.
    private void Release()
    {
        // One that was put aside just when a connection became free.
        while (!_waiting.IsEmpty && _idle.TryTake(out var free))
        {
            if (_waiting.TryDequeue(out var came))
                Send(free, came);
            else
                _idle.Add(free);
        }

        var now = Stopwatch.GetTimestamp();
        var elapsed = (now - _start) / (double)Stopwatch.Frequency;
        while (_nextArrival <= elapsed)
        {
            _nextArrival += -Math.Log(1 - _random.NextDouble()) / requestsPerSecond;
            now = Stopwatch.GetTimestamp();
            if (_idle.TryTake(out var connection))
                Send(connection, now);
            else
                _waiting.Enqueue(now);
        }
    }

    private void Send(Connection connection, long came)
    {
        connection.Came = came;
        try
        {
            connection.Socket.Send(_request);
        }
        catch (SocketException)
        {
            // The receiver counts it.
        }
    }

    private async Task ReceiveAsync(Connection connection, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        var held = 0;
        try
        {
            while (true)
            {
                var read = await connection.Socket.ReceiveAsync(buffer.AsMemory(held), SocketFlags.None, cancellationToken);
                if (read == 0)
                {
                    Interlocked.Increment(ref _failed);
                    return;
                }

                held += read;
                if (!HttpBytes.IsWhole(buffer.AsSpan(0, held)))
                    continue;

                held = 0;
                connection.Second(_start).Add(Stopwatch.GetTimestamp() - connection.Came);
                if (_waiting.TryDequeue(out var came))
                    Send(connection, came);
                else
                    _idle.Add(connection);
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
        catch (SocketException)
        {
            Interlocked.Increment(ref _failed);
        }
    }

    private sealed class Connection(Socket socket, int seconds)
    {
        public Socket Socket { get; } = socket;

        /// <summary>Latencies by the second in which the request came.</summary>
        public Samples[] Seconds { get; } = [.. Enumerable.Range(0, seconds).Select(_ => new Samples())];

        public long Came { get; set; }

        public Samples Second(long start) => Seconds[Math.Min((Came - start) / Stopwatch.Frequency, Seconds.Length - 1)];
    }
}
