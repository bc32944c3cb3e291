using System.Buffers;
using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.InferenceProxy.Errors;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// The client's body in one buffer, read once and kept until no further attempt can need it. Small ones are pooled; large ones are paid
/// from <see cref="BodyBudget"/> and left to the collector, because a pool would keep them.
/// </summary>
internal sealed class RequestBody : IDisposable
{
    // What a Content-Length merely announces is not yet worth a larger buffer.
    private const int LargestFirstBuffer = 256 * 1024;

    // A buffer of the announced size is worth it when this part of it is there: less would let a few words take the budget of all.
    private const int WorthAnnounced = 16;

    // Reading the JSON of more than this is no work for a thread that polls sockets.
    private const int LargestInline = 256 * 1024;

    private byte[] _buffer = [];
    private BodyBudget? _budget;
    private int _length;

    public ReadOnlyMemory<byte> Bytes => _buffer.AsMemory(0, _length);

    /// <summary>Reads the body to its end, or says why not.</summary>
    public async ValueTask<ProxyError?> ReadAsync(HttpContext context, int limit)
    {
        var announced = context.Request.ContentLength;
        if ((announced is null || announced > limit)
            && context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = limit; // what is beyond it the server does not even read to throw it away
        }

        if (announced > limit)
            return Refuse(context, ProxyError.TooLarge(limit));

        if (announced > LargestFirstBuffer && !context.RequestServices.GetRequiredService<BodyBudget>().HasRoom((int)announced + 1))
        {
            return Refuse(context, ProxyError.TooManyBodies); // before a byte of it is read: who waits to be asked for it need not send it
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
                        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);

                    return null;
                }

                _length += read;
                if (_length > limit)
                    return Refuse(context, ProxyError.TooLarge(limit));

                if (_length == _buffer.Length && !TryGrow(context, announced, limit))
                    return Refuse(context, ProxyError.TooManyBodies);
            }
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            return Refuse(context, ProxyError.TooLarge(limit));
        }
        catch (BadHttpRequestException e)
        {
            return ProxyError.BadRequest($"The request body could not be read: {e.Message}") with { Status = e.StatusCode };
        }
    }

    /// <summary>
    /// Takes a property, with its comma, out of the body's object by writing spaces over it: every other byte stays where it is.
    /// </summary>
    public void Blank(int start, int end)
    {
        var bytes = _buffer.AsSpan(0, _length);
        var behind = end + bytes[end..].IndexOfAnyExcept(" \t\r\n"u8);
        var before = bytes[..start].LastIndexOfAnyExcept(" \t\r\n"u8);
        (start, end) = bytes[behind] == ',' ? (start, behind + 1) : bytes[before] == ',' ? (before, end) : (start, end);
        bytes[start..end].Fill((byte)' ');
    }

    public void Dispose()
    {
        Release();
        (_buffer, _length) = ([], 0);
    }

    private static ProxyError Refuse(HttpContext context, ProxyError error)
    {
        context.Response.Headers.Connection = "close"; // the rest of the body is not worth reading
        return error;
    }

    private bool TryGrow(HttpContext context, long? announced, int limit)
    {
        // One more than will come, to see the end. Without a length it doubles; with one few steps leave little for the collector.
        var size = (int)Math.Min(
            _buffer.Length * (announced is null ? 2L : WorthAnnounced),
            Math.Max((announced ?? limit) + 1, LargestFirstBuffer));
        byte[] larger;
        BodyBudget? budget = null;
        if (size <= LargestFirstBuffer)
        {
            larger = ArrayPool<byte>.Shared.Rent(size);
        }
        else
        {
            budget = context.RequestServices.GetRequiredService<BodyBudget>();
            if (!budget.TryTake(size))
                return false;

            larger = GC.AllocateUninitializedArray<byte>(size);
        }

        Bytes.CopyTo(larger);
        Release();
        (_buffer, _budget) = (larger, budget);
        return true;
    }

    private void Release()
    {
        if (_budget is { } budget)
        {
            var length = _buffer.Length;
            (_buffer, _budget) = ([], null);
            budget.Drop(length);
        }
        else if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }
    }
}
