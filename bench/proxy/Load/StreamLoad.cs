using System.Buffers.Text;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.ProxyBench.Upstream;

namespace ValueCanvas.ProxyBench.Load;

/// <summary>
/// Paced streams on connections that stay open, one after another on each. Every event says when the upstream sent it, so that three things
/// are known of it: the gap to the event before, how much longer that gap is than it was at the upstream, and how long the event was
/// under way.
/// </summary>
internal sealed class StreamLoad(Target target, int streams)
{
    private static readonly TimeSpan Stall = TimeSpan.FromMilliseconds(10 * Answers.EventGapMilliseconds);
    private readonly byte[] _request = HttpBytes.Request(target, Prompts.Chat(1024, stream: true));

    public async Task<JsonObject> RunAsync(TimeSpan duration, CancellationToken cancellationToken)
    {
        var connections = new List<Connection>();
        try
        {
            for (var i = 0; i < streams; i++)
                connections.Add(new Connection(await HttpBytes.ConnectAsync(target.Port, cancellationToken)));

            var cpu = target.Process?.CpuSeconds() ?? 0;
            var started = Stopwatch.GetTimestamp();
            // Spread over one stream's length, so that beginnings and ends fall evenly into the run.
            var spread = TimeSpan.FromMilliseconds((double)Answers.Events * Answers.EventGapMilliseconds / streams);
            await Task.WhenAll(connections.Select((connection, i) => RunAsync(connection, i * spread, started, duration,
                cancellationToken)));
            var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
            return Report(connections, elapsed, (target.Process?.CpuSeconds() ?? 0) - cpu);
        }
        finally
        {
            connections.ForEach(c => c.Socket.Dispose());
        }
    }

    private async Task RunAsync(Connection connection, TimeSpan delay, long started, TimeSpan duration, CancellationToken cancellationToken)
    {
        await Task.Delay(delay, TimeProvider.System, cancellationToken);
        try
        {
            while (Stopwatch.GetElapsedTime(started) < duration)
                await connection.StreamAsync(_request, cancellationToken);
        }
        catch (Exception e) when (e is SocketException or EndOfStreamException)
        {
            connection.Broken = true;
        }
    }

    private JsonObject Report(List<Connection> connections, double elapsed, double cpu)
    {
        var (ttft, gap, stretch, transit) = (new Samples(), new Samples(), new Samples(), new Samples());
        foreach (var connection in connections)
        {
            ttft.AddRange(connection.FirstEvent);
            gap.AddRange(connection.Gap);
            stretch.AddRange(connection.Stretch);
            transit.AddRange(connection.Transit);
        }

        var finished = connections.Sum(c => c.Finished);
        var report = new JsonObject
        {
            ["streams"] = streams,
            ["seconds"] = Math.Round(elapsed, 2),
            ["finished"] = finished,
            ["broken"] = connections.Count(c => c.Broken),
            ["wrong_event_count"] = connections.Sum(c => c.WrongCount),
            ["events_per_second"] = Math.Round(transit.Count / elapsed, 0),
            ["stalls"] = gap.CountAbove(Stall),
            ["ttft_us"] = ttft.ToJson(),
            ["gap_us"] = gap.ToJson(),
            ["gap_stretch_us"] = stretch.ToJson(),
            ["transit_us"] = transit.ToJson(),
        };
        if (target.Process is { } process)
        {
            report["cpu_seconds"] = Math.Round(cpu, 2);
            report["cpu_cores"] = Math.Round(cpu / elapsed, 3);
            report["cpu_us_per_event"] = Math.Round(cpu * 1e6 / Math.Max(transit.Count, 1), 1);
            report["rss_mb"] = Math.Round(process.ResidentBytes() / 1048576.0, 1);
        }

        return report;
    }

    private sealed class Connection(Socket socket)
    {
        private readonly byte[] _buffer = new byte[64 * 1024];

        public Socket Socket { get; } = socket;

        public Samples FirstEvent { get; } = new();

        public Samples Gap { get; } = new();

        public Samples Stretch { get; } = new();

        public Samples Transit { get; } = new();

        public int Finished { get; private set; }

        public int WrongCount { get; private set; }

        public bool Broken { get; set; }

        public async Task StreamAsync(byte[] request, CancellationToken cancellationToken)
        {
            var asked = Stopwatch.GetTimestamp();
            await Socket.SendAsync(request, SocketFlags.None, cancellationToken);
            var (held, events, lastSeen, lastSent) = (0, 0, 0L, 0L);
            while (true)
            {
                var read = await Socket.ReceiveAsync(_buffer.AsMemory(held), SocketFlags.None, cancellationToken);
                var now = Stopwatch.GetTimestamp();
                if (read == 0)
                    throw new EndOfStreamException();

                held += read;
                var at = 0;
                while (Next(_buffer.AsSpan(at, held - at), out var sent) is > 0 and var used)
                {
                    at += used;
                    Transit.Add(now - sent);
                    if (events++ == 0)
                    {
                        FirstEvent.Add(now - asked);
                    }
                    else
                    {
                        Gap.Add(now - lastSeen);
                        Stretch.Add(now - lastSeen - (sent - lastSent));
                    }

                    (lastSeen, lastSent) = (now, sent);
                }

                if (_buffer.AsSpan(at, held - at).EndsWith("\r\n0\r\n\r\n"u8))
                {
                    Finished++;
                    WrongCount += events == Answers.Events ? 0 : 1;
                    return;
                }

                if (at == 0 && held == _buffer.Length)
                    throw new EndOfStreamException("no event in 64 kB");

                _buffer.AsSpan(at, held - at).CopyTo(_buffer);
                held -= at;
            }
        }

        private static int Next(ReadOnlySpan<byte> bytes, out long sent)
        {
            sent = 0;
            var mark = bytes.IndexOf(Answers.Mark);
            return mark >= 0 && bytes.Length > mark + Answers.StampDigits
                && Utf8Parser.TryParse(bytes.Slice(mark + 1, Answers.StampDigits), out sent, out var used) && used == Answers.StampDigits
                ? mark + 1 + Answers.StampDigits
                : 0;
        }
    }
}
