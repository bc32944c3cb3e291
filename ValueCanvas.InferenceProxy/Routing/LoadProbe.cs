using System.Buffers;
using System.Net;
using System.Runtime.CompilerServices;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>One reading of one replica's <c>/metrics</c>. A server that has none is not asked again until it has been down.</summary>
internal sealed class LoadProbe(UpstreamClient upstream, TimeProvider time)
{
    // Longer lines are none of those that are looked for.
    private const int LongestLine = 16 * 1024;
    private const int LargestPage = 8 * 1024 * 1024;

    private readonly ConditionalWeakTable<Replica, object> _without = [];

    public async Task ReadAsync(Replica replica, TimeSpan limit, CancellationToken cancellationToken)
    {
        var state = replica.State;
        // A hosted provider's load is its own affair.
        if (replica.Upstream.Kind.IsHosted || state.Status != ReplicaStatus.Up
            || (_without.TryGetValue(replica, out var since) && state.LastChange.Equals(since)))
        {
            replica.Load.Live = null;
            return;
        }

        using var bound = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            var before = replica.InFlight;
            using var request = ReplicaProbe.Question(replica, "/metrics");
            using var response = await upstream.SendAsync(request, either.Token);
            var load = response.StatusCode == HttpStatusCode.OK
                ? (await ParseAsync(response, either.Token)).ToLoad(Math.Max(before, replica.InFlight))
                : null;
            replica.Load.Live = load;
            var absent = response.StatusCode is HttpStatusCode.OK or (>= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError)
                or HttpStatusCode.NotImplemented;
            if (load is null && absent)
                _without.AddOrUpdate(replica, state.LastChange);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The program ends.
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            replica.Load.Live = null; // an old figure is worse than none; the look at its health says what is wrong
        }
    }

    private static async Task<VllmMetrics> ParseAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var metrics = default(VllmMetrics);
        var buffer = ArrayPool<byte>.Shared.Rent(LongestLine);
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            var (held, total) = (0, 0);
            while (total < LargestPage && await body.ReadAsync(buffer.AsMemory(held), cancellationToken) is > 0 and var read)
            {
                (held, total) = (held + read, total + read);
                var used = Lines(ref metrics, buffer.AsSpan(0, held));
                used = used == 0 && held == buffer.Length ? held : used;
                buffer.AsSpan(used, held - used).CopyTo(buffer);
                held -= used;
            }

            metrics.Line(buffer.AsSpan(0, held));
            return metrics;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static int Lines(ref VllmMetrics metrics, ReadOnlySpan<byte> text)
    {
        var used = 0;
        while (text[used..].IndexOf((byte)'\n') is >= 0 and var end)
        {
            metrics.Line(text.Slice(used, end).TrimEnd((byte)'\r'));
            used += end + 1;
        }

        return used;
    }
}
