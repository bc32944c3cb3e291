using System.Buffers;
using ValueCanvas.InferenceProxy.Errors;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>The client's body in one pooled buffer, read once and kept until no further attempt can need it.</summary>
internal sealed class RequestBody : IDisposable
{
    // What a Content-Length merely announces is not yet worth a larger buffer.
    private const int LargestFirstBuffer = 256 * 1024;

    // Reading the JSON of more than this is no work for a thread that polls sockets.
    private const int LargestInline = 256 * 1024;

    private byte[] _buffer = [];
    private int _length;

    public ReadOnlyMemory<byte> Bytes => _buffer.AsMemory(0, _length);

    /// <summary>Reads the body to its end, or says why not.</summary>
    public async ValueTask<ProxyError?> ReadAsync(HttpContext context, int limit)
    {
        var announced = context.Request.ContentLength;
        if (announced > limit)
        {
            return Refuse(context, limit);
        }

        _buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(announced + 1 ?? 4096, LargestFirstBuffer));
        try
        {
            while (true)
            {
                var read = await context.Request.Body.ReadAsync(_buffer.AsMemory(_length), context.RequestAborted);
                if (read == 0)
                {
                    if (_length > LargestInline)
                    {
                        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
                    }

                    return null;
                }

                _length += read;
                if (_length > limit)
                {
                    return Refuse(context, limit);
                }

                if (_length == _buffer.Length)
                {
                    Grow();
                }
            }
        }
        catch (BadHttpRequestException e)
        {
            return ProxyError.BadRequest($"The request body could not be read: {e.Message}") with { Status = e.StatusCode };
        }
    }

    public void Dispose()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            (_buffer, _length) = ([], 0);
        }
    }

    private static ProxyError Refuse(HttpContext context, int limit)
    {
        context.Response.Headers.Connection = "close"; // the rest of the body is not worth reading
        return ProxyError.TooLarge(limit);
    }

    private void Grow()
    {
        var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        Bytes.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
