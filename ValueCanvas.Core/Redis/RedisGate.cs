using Microsoft.Extensions.Logging;

namespace ValueCanvas.Core.Redis;

/// <summary>
/// Whether Redis is asked: not while it is away or slow. It opens after few calls in a row without an answer in time, and only a heartbeat
/// that was answered in time closes it, so that no request ever pays for the trying. A row has to last as well: one short pause, of Redis
/// or of this process, is late for all that are under way at once.
/// </summary>
/// <param name="purpose">What is done without Redis while it is open; for the log: "Rate limits are counted in memory".</param>
/// <param name="timeout">After this time a call is no longer waited for.</param>
/// <param name="threshold">So many calls in a row without an answer in time open it, once the first of them began two timeouts ago.</param>
/// <param name="time">For the timeout.</param>
/// <param name="logger">Gets one line when it opens, and one when it closes.</param>
public sealed partial class RedisGate(string purpose, TimeSpan timeout, int threshold, TimeProvider time, ILogger logger)
{
    private int _failures;
    private long _firstFailed;
    private int _open = 1;

    /// <summary>Redis is left alone; so it is until the first heartbeat.</summary>
    public bool IsOpen => Volatile.Read(ref _open) == 1;

    /// <summary>The answer, or that it is still under way when the time is over, or neither. Never throws for Redis' sake.</summary>
    /// <param name="call">Starts the call, at once.</param>
    public async ValueTask<Asked<T>> AskAsync<T>(Func<Task<T>> call) where T : class
    {
        if (IsOpen)
            return default;
        var asked = await TryAsync(call);
        if (asked.Answer is not null && Volatile.Read(ref _failures) != 0)
            Volatile.Write(ref _failures, 0);
        return asked;
    }

    /// <summary>A heartbeat: it is sent also while the gate is open, and closes it.</summary>
    public async Task<T?> ProbeAsync<T>(Func<Task<T>> call) where T : class
    {
        if ((await TryAsync(call)).Answer is not { } answer)
            return null;
        Volatile.Write(ref _failures, 0);
        if (Interlocked.Exchange(ref _open, 0) == 1)
            Log.Closed(logger, purpose);
        return answer;
    }

    private async ValueTask<Asked<T>> TryAsync<T>(Func<Task<T>> call) where T : class
    {
        var began = time.GetTimestamp();
        Task<T> task;
        try
        {
            task = call();
        }
        catch (ObjectDisposedException e)
        {
            task = Task.FromException<T>(e);
        }

        // Nothing is thrown for an answer that does not come: where many wait, that would cost more than the waiting.
        if (!task.IsCompleted)
            await ((Task)task.WaitAsync(timeout, time)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (task.IsCompletedSuccessfully)
            return new(task.Result, null);
        if (task.IsCompleted)
        {
            // Away; or there, and it cannot: read-only, loading, out of memory. Whatever it is, no request fails for it.
            Open(task.Exception?.InnerException?.GetType().Name ?? "a cancellation");
            return default;
        }

        var failures = Interlocked.Increment(ref _failures);
        if (failures == 1)
            Volatile.Write(ref _firstFailed, began);
        if (failures >= threshold && time.GetElapsedTime(Volatile.Read(ref _firstFailed)) >= timeout * 2)
            Open("no answer in time");
        // Nobody may wait for it any more: its failure was seen.
        _ = task.ContinueWith(
            static late => late.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        return new(null, task);
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

/// <summary>What came of a call.</summary>
/// <param name="Answer">It came in time.</param>
/// <param name="Late">It did not, and may still come.</param>
public readonly record struct Asked<T>(T? Answer, Task<T>? Late) where T : class;
