using Microsoft.Extensions.Logging;

namespace ValueCanvas.Core.Redis;

/// <summary>
/// Whether Redis is asked: not while it is away or slow. It opens after few calls without an answer in time, and only a heartbeat that was
/// answered in time closes it, so that no request ever pays for the trying.
/// </summary>
/// <param name="purpose">What is done without Redis while it is open; for the log: "Rate limits are counted in memory".</param>
/// <param name="timeout">After this time a call is no longer waited for.</param>
/// <param name="threshold">So many calls in a row without an answer in time open it.</param>
/// <param name="time">For the timeout.</param>
/// <param name="logger">Gets one line when it opens, and one when it closes.</param>
public sealed partial class RedisGate(string purpose, TimeSpan timeout, int threshold, TimeProvider time, ILogger logger)
{
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
            Log.Closed(logger, purpose);
        return answer;
    }

    private async ValueTask<T?> TryAsync<T>(Func<Task<T>> call, Func<T, Task>? late) where T : class
    {
        Task<T> task;
        try
        {
            task = call();
        }
        catch (Exception e) when (IsOfRedis(e))
        {
            Open(e.GetType().Name);
            return null;
        }

        // Nothing is thrown for an answer that does not come: where many wait, that would cost more than the waiting.
        if (!task.IsCompleted)
            await ((Task)task.WaitAsync(timeout, time)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (task.IsCompletedSuccessfully)
            return task.Result;
        if (!task.IsCompleted)
        {
            if (Interlocked.Increment(ref _failures) >= threshold)
                Open("no answer in time");
            // Observed in any case: nobody else waits for it.
            _ = FinishAsync(task, late);
            return null;
        }

        var failure = task.Exception?.InnerException;
        if (failure is not null && !IsOfRedis(failure))
            throw new InvalidOperationException("A call to Redis failed in a way that nothing foresees.", failure);
        // Away; or there, and it cannot: read-only, loading, out of memory.
        Open(failure?.GetType().Name ?? "a cancellation");
        return null;
    }

    private static bool IsOfRedis(Exception e) =>
        e is StackExchange.Redis.RedisException or StackExchange.Redis.RedisCommandException or ObjectDisposedException
            or OperationCanceledException or TimeoutException;

    private static async Task FinishAsync<T>(Task<T> task, Func<T, Task>? late)
    {
        try
        {
            var answer = await task;
            if (late is not null)
                await late(answer);
        }
        catch (Exception e) when (IsOfRedis(e))
        {
            // It never was done, or is undone by its lifetime.
        }
    }

    private void Open(string reason)
    {
        if (Interlocked.Exchange(ref _open, 1) == 0)
            Log.Opened(logger, purpose, reason);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "{Purpose}: Redis gave {Reason}")]
        public static partial void Opened(ILogger logger, string purpose, string reason);

        [LoggerMessage(LogLevel.Information, "No longer so, Redis answers in time: {Purpose}")]
        public static partial void Closed(ILogger logger, string purpose);
    }
}
