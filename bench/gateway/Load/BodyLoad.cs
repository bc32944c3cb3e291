using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.GatewayBench.Load;

/// <summary>
/// Closed loop over many bodies, each sent once: what was received whole is counted by what it was, also where the server dies in between.
/// </summary>
internal sealed class BodyLoad(Target target, Func<int, byte[]> body, int connections)
{
    private int _next = -1;
    private int _answered;
    private int _refused;
    private int _hits;

    /// <summary>Answers with status 200 or 202 that came whole.</summary>
    public int Answered => Volatile.Read(ref _answered);

    public async Task<JsonObject> RunAsync(int requests, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var latencies = await Task.WhenAll(
            Enumerable.Range(0, connections).Select(_ => Task.Run(() => SendAsync(requests, cancellationToken))));
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var all = new Samples();
        foreach (var one in latencies)
        {
            all.AddRange(one);
        }

        return new JsonObject
        {
            ["requests"] = Math.Min(requests, _next + 1),
            ["answered"] = _answered,
            ["refused"] = _refused,
            ["hits"] = _hits,
            ["requests_per_second"] = Math.Round(_answered / elapsed, 1),
            ["latency_us"] = all.ToJson(),
        };
    }

    private async Task<Samples> SendAsync(int requests, CancellationToken cancellationToken)
    {
        var samples = new Samples();
        var buffer = new byte[64 * 1024];
        try
        {
            using var socket = await HttpBytes.ConnectAsync(target.Port, cancellationToken);
            int index;
            while ((index = Interlocked.Increment(ref _next)) < requests && !cancellationToken.IsCancellationRequested)
            {
                var request = HttpBytes.Request(target, body(index));
                var asked = Stopwatch.GetTimestamp();
                await socket.SendAsync(request, SocketFlags.None, cancellationToken);
                var held = 0;
                do
                {
                    var read = await socket.ReceiveAsync(buffer.AsMemory(held), SocketFlags.None, cancellationToken);
                    if (read == 0)
                    {
                        return samples;
                    }

                    held += read;
                }
                while (!HttpBytes.IsWhole(buffer.AsSpan(0, held)));

                samples.Add(Stopwatch.GetTimestamp() - asked);
                Count(buffer.AsSpan(0, held));
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // The server has gone, or the run is over: what was not received whole does not count.
        }

        return samples;
    }

    private void Count(ReadOnlySpan<byte> answer)
    {
        if (!answer.StartsWith("HTTP/1.1 200"u8) && !answer.StartsWith("HTTP/1.1 202"u8))
        {
            Interlocked.Increment(ref _refused);
            return;
        }

        Interlocked.Increment(ref _answered);
        var head = Encoding.ASCII.GetString(answer[..answer.IndexOf("\r\n\r\n"u8)]);
        if (head.Contains("\r\nx-cache: hit", StringComparison.OrdinalIgnoreCase))
        {
            Interlocked.Increment(ref _hits);
        }
    }
}
