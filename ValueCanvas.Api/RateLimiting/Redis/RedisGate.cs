using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>
/// Whether Redis is asked: not while it is away or slow. It opens after few calls without an answer in time, and only a heartbeat that was
/// answered in time closes it, so that no request ever pays for the trying.
/// </summary>
internal sealed partial class RedisGate(IOptions<RateLimitingOptions> options, TimeProvider time, ILogger<RedisGate> logger)
{
    private readonly int _threshold = options.Value.RedisFailures;
    private int _failures;
    private int _open = 1;

    /// <summary>Redis is left alone; so it is until the first heartbeat.</summary>
    public bool IsOpen => Volatile.Read(ref _open) == 1;

    /// <summary>The answer, or null where there was none in time. Never throws for Redis' sake.</summary>
    /// <param name="call">Starts the call, at once.</param>
    /// <param name="late">What to do with an answer that comes after it was given up.</param>
    public async ValueTask<T?> AskAsync<T>(Func<Task<T>> call, Func<T, Task>? late = null) where T : class
    {
        if (IsOpen)
            return null;
        var answer = await TryAsync(call, late);
        if (answer is not null && Volatile.Read(ref _failures) != 0)
            Volatile.Write(ref _failures, 0);
        return answer;
    }

    /// <summary>A heartbeat: it is sent also while the gate is open, and closes it.</summary>
    public async Task<T?> ProbeAsync<T>(Func<Task<T>> call) where T : class
    {
        var answer = await TryAsync(call, late: null);
        if (answer is null)
            return null;
        Volatile.Write(ref _failures, 0);
        if (Interlocked.Exchange(ref _open, 0) == 1)
            Log.Closed(logger);
        return answer;
    }

    private async ValueTask<T?> TryAsync<T>(Func<Task<T>> call, Func<T, Task>? late) where T : class
    {
        Task<T>? task = null;
        try
        {
            task = call();
            return task.IsCompletedSuccessfully ? task.Result : await task.WaitAsync(options.Value.RedisTimeout, time);
        }
        catch (TimeoutException)
        {
            if (Interlocked.Increment(ref _failures) >= _threshold)
                Open("no answer in time");
            // Observed in any case: nobody else waits for it.
            _ = FinishAsync(task!, late);
        }
        catch (StackExchange.Redis.RedisServerException e)
        {
            // It is there and cannot: read-only, loading, out of memory.
            Open(e.GetType().Name);
        }
        catch (Exception e) when (e is StackExchange.Redis.RedisException or ObjectDisposedException or OperationCanceledException)
        {
            Open(e.GetType().Name);
        }

        return null;
    }

    private static async Task FinishAsync<T>(Task<T> task, Func<T, Task>? late)
    {
        try
        {
            var answer = await task;
            if (late is not null)
                await late(answer);
        }
        catch (Exception e) when (e is StackExchange.Redis.RedisException or ObjectDisposedException or OperationCanceledException)
        {
            // It never was done, or is undone by its lifetime.
        }
    }

    private void Open(string reason)
    {
        if (Interlocked.Exchange(ref _open, 1) == 0)
            Log.Opened(logger, reason);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Rate limits are counted in memory: Redis gave {Reason}")]
        public static partial void Opened(ILogger logger, string reason);

        [LoggerMessage(LogLevel.Information, "Rate limits are counted in Redis")]
        public static partial void Closed(ILogger logger);
    }
}
