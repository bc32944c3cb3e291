using System.Diagnostics;
using System.Net.Http.Headers;
using ValueCanvas.ProxyBench.Load;

namespace ValueCanvas.ProxyBench.Routing;

/// <summary>Streams answers and takes the time to the first event that holds text.</summary>
internal sealed class TokenClient(int port) : IDisposable
{
    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler { UseProxy = false, ActivityHeadersPropagator = null });
    private readonly Lock _gate = new();
    private int _failed;

    public Samples FirstToken { get; private set; } = new();

    public int Failed => Volatile.Read(ref _failed);

    /// <summary>Forgets what was measured so far.</summary>
    public void Reset() => (FirstToken, _failed) = (new Samples(), 0);

    public async Task SendAsync(WorkItem item, CancellationToken cancellationToken)
    {
        var asked = Stopwatch.GetTimestamp();
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"http://127.0.0.1:{port}{item.Path}"))
            {
                Content = new ByteArrayContent(item.Body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
            };
            using var response = await _client.SendAsync(request, cancellationToken);
            response.EnsureSuccessStatusCode();
            await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
            var buffer = new byte[32 * 1024];
            var (first, ended, tail) = (0L, false, 0);
            while (await stream.ReadAsync(buffer.AsMemory(tail), cancellationToken) is > 0 and var read)
            {
                var seen = buffer.AsSpan(0, tail + read);
                if (first == 0 && (HasText(seen, "\"content\":\""u8) || HasText(seen, "\"text\":\""u8)))
                    first = Stopwatch.GetTimestamp();

                ended |= seen.IndexOf("[DONE]"u8) >= 0;
                tail = Math.Min(seen.Length, 16);
                seen[^tail..].CopyTo(buffer);
            }

            if (first == 0 || !ended)
                throw new HttpRequestException("The stream broke.");

            lock (_gate)
                FirstToken.Add(first - asked);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            Interlocked.Increment(ref _failed);
        }
    }

    public void Dispose() => _client.Dispose();

    // The first event of a chat has the role and an empty text.
    private static bool HasText(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> field)
    {
        while (bytes.IndexOf(field) is >= 0 and var at)
        {
            bytes = bytes[(at + field.Length)..];
            if (bytes.Length > 0 && bytes[0] != '"')
                return true;
        }

        return false;
    }
}
