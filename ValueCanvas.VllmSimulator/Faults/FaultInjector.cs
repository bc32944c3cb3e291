using System.Globalization;
using ValueCanvas.VllmSimulator.Errors;

namespace ValueCanvas.VllmSimulator.Faults;

/// <summary>Applies the fault that a request's header or the server-wide switch asks for.</summary>
internal sealed class FaultInjector(TimeProvider time)
{
    public const string Header = "x-simulator-fault";
    private const double Golden = 0.6180339887498949;
    private volatile Fault? _everywhere;
    private long _decisions;

    public Fault? Everywhere
    {
        get => _everywhere;
        set => _everywhere = value;
    }

    /// <summary>The fault of a response that has begun, for whoever writes its tokens.</summary>
    public static Fault? Of(HttpContext context) => context.Features.Get<Fault>();

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var fault = _everywhere is { } everywhere && context.Request.Path.StartsWithSegments(everywhere.Path.TrimEnd('/')) ? everywhere : null;
        if (context.Request.Headers.TryGetValue(Header, out var header))
        {
            var (asked, error) = Fault.Parse(header.ToString());
            if (asked is null)
            {
                await ErrorWriter.WriteAsync(context.Response, ApiError.BadRequest($"Header {Header}: {error}", Header), context.RequestAborted);
                return;
            }
            fault = asked;
        }
        if (fault is null || !Happens(fault))
        {
            await next(context);
            return;
        }

        if (fault.Delay > TimeSpan.Zero)
            await Task.Delay(fault.Delay, time, context.RequestAborted);
        if (fault.Status is { } status)
        {
            if (fault.RetryAfter is { } seconds)
                context.Response.Headers.RetryAfter = Math.Ceiling(seconds).ToString("0", CultureInfo.InvariantCulture);
            await ErrorWriter.WriteAsync(context.Response, Failure(status), context.RequestAborted);
            return;
        }
        context.Features.Set(fault);
        await next(context);
    }

    private static ApiError Failure(int status) => new(status, status switch
    {
        400 => "BadRequestError",
        401 => "AuthenticationError",
        404 => "NotFoundError",
        429 => "RateLimitError",
        503 => "ServiceUnavailableError",
        _ => "InternalServerError",
    }, $"The simulator was asked to fail with status {status}.");

    // Multiples of the golden ratio spread evenly: of any run of requests the wanted share fails, and every run is the same.
    private bool Happens(Fault fault)
    {
        if (fault.Probability >= 1)
            return true;
        var point = Interlocked.Increment(ref _decisions) * Golden;
        return point - Math.Floor(point) < fault.Probability;
    }
}
