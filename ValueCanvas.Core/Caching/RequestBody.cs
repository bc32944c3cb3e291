using System.Buffers;
using System.Net;
using System.Net.Http.Headers;

namespace ValueCanvas.Core.Caching;

/// <summary>A request's body, read once into a pooled buffer: to be looked at, and then sent on from there.</summary>
internal sealed class RequestBody : IDisposable
{
    private const int Step = 16 * 1024;

    private readonly HttpContentHeaders _headers;
    private readonly Stream? _rest;
    private readonly byte[] _buffer;
    private readonly int _length;
    private int _holders = 1;

    private RequestBody(HttpContentHeaders headers, byte[] buffer, int length, Stream? rest) =>
        (_headers, _buffer, _length, _rest) = (headers, buffer, length, rest);

    public ReadOnlySpan<byte> Bytes => _buffer.AsSpan(0, _length);

    /// <summary>No more of it is to come; otherwise it is larger than what is looked at.</summary>
    public bool IsWhole => _rest is null;

    /// <summary>Reads up to the limit; null where it says beforehand that it is longer, unread.</summary>
    public static async Task<RequestBody?> ReadAsync(HttpContent content, int limit, CancellationToken cancellationToken)
    {
        var announced = content.Headers.ContentLength;
        if (announced > limit)
            return null;
        var stream = await content.ReadAsStreamAsync(cancellationToken);
        var buffer = ArrayPool<byte>.Shared.Rent((int)(announced + 1 ?? Step));
        var length = 0;
        while (true)
        {
            if (length == buffer.Length)
            {
                if (length > limit)
                    return new(content.Headers, buffer, length, stream);
                var larger = ArrayPool<byte>.Shared.Rent(Math.Min(length * 2, limit + Step));
                buffer.AsSpan(0, length).CopyTo(larger);
                ArrayPool<byte>.Shared.Return(buffer);
                buffer = larger;
            }

            var read = await ReadAsync(stream, buffer.AsMemory(length), cancellationToken);
            if (read == 0)
                return new(content.Headers, buffer, length, rest: null);
            length += read;
        }
    }

    // As where the client that sends it on reads it: what its sender did is not the model server's failure.
    private static async ValueTask<int> ReadAsync(Stream stream, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await stream.ReadAsync(buffer, cancellationToken);
        }
        catch (IOException e)
        {
            throw new HttpRequestException("The body could not be read.", e);
        }
    }

    /// <summary>The body as it is to be sent on. The memory goes back when that and this are disposed.</summary>
    public HttpContent ToContent()
    {
        Interlocked.Increment(ref _holders);
        var content = new Content(this);
        foreach (var (name, values) in _headers.NonValidated)
        {
            if (!name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
                content.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values);
        }

        return content;
    }

    public void Dispose()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
            ArrayPool<byte>.Shared.Return(_buffer);
    }

    private sealed class Content(RequestBody body) : HttpContent
    {
        private int _writing;
        private int _isDisposed;

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            // What breaks off in the middle may still be read by somebody: such memory never goes back.
            Interlocked.Increment(ref _writing);
            await stream.WriteAsync(body._buffer.AsMemory(0, body._length), cancellationToken);
            if (body._rest is not null)
                await body._rest.CopyToAsync(stream, cancellationToken);
            Interlocked.Decrement(ref _writing);
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override bool TryComputeLength(out long length)
        {
            length = body._rest is null ? body._length : body._headers.ContentLength ?? 0;
            return body._rest is null || body._headers.ContentLength is not null;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && Volatile.Read(ref _writing) == 0 && Interlocked.Exchange(ref _isDisposed, 1) == 0)
                body.Dispose();
            base.Dispose(disposing);
        }
    }
}
