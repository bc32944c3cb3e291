using System.Buffers;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.RateLimiting.Tokens;

/// <summary>Reads bodies before they are passed on, in bounded memory for all of them together.</summary>
internal sealed class BodyBuffer(IOptions<RateLimitingOptions> options)
{
    private long _free = options.Value.MaxBufferedBytes;

    /// <summary>Reads the whole body; the endpoint reads it again.</summary>
    /// <exception cref="RequestException">413; or 503 where there is no room now.</exception>
    public async Task<Held> ReadAsync(HttpContext context)
    {
        var limit = BodyLimit.Of(context);
        limit.CheckLength(context);
        var held = new Held(this);
        try
        {
            var first = (int)Math.Min(context.Request.ContentLength + 1 ?? 4096, limit.Bytes + 1);
            held.Take(first);
            var body = new ArrayBufferWriter<byte>(first);
            int read;
            while ((read = await context.Request.Body.ReadAsync(body.GetMemory(), context.RequestAborted)) > 0)
            {
                body.Advance(read);
                if (body.WrittenCount > limit.Bytes)
                    throw limit.TooLarge();
                held.Take(body.Capacity - held.Bytes);
            }

            held.Body = body.WrittenMemory;
            context.Request.Body = new MemoryStream(System.Runtime.InteropServices.MemoryMarshal.TryGetArray(held.Body, out var array)
                ? array.Array! : held.Body.ToArray(), 0, held.Body.Length, writable: false);
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    internal sealed class Held(BodyBuffer owner) : IDisposable
    {
        public ReadOnlyMemory<byte> Body { get; set; }

        public int Bytes { get; private set; }

        public void Take(int more)
        {
            if (more <= 0)
                return;
            Bytes += more;
            if (Interlocked.Add(ref owner._free, -more) < 0)
            {
                throw new RequestException(
                    StatusCodes.Status503ServiceUnavailable, "Too many large requests are being read at the moment. Try again shortly.")
                {
                    Code = "overloaded",
                    RetryAfter = TimeSpan.FromSeconds(1),
                };
            }
        }

        public void Dispose()
        {
            Interlocked.Add(ref owner._free, Bytes);
            Bytes = 0;
        }
    }
}
