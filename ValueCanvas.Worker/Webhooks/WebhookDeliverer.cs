using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Webhooks;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Worker.Webhooks;

/// <summary>
/// Delivers what is due, a bounded number at a time. Every worker does; what one has claimed
/// the others leave alone until its lease is over.
/// </summary>
internal sealed partial class WebhookDeliverer(
    WebhookOutbox outbox,
    WebhookSender sender,
    WebhookSecrets secrets,
    WebhookMetrics metrics,
    IOptions<WebhookOptions> options,
    TimeProvider time,
    ILogger<WebhookDeliverer> logger) : BackgroundService
{
    private const int PruneBatch = 1000;
    private static readonly TimeSpan PruneInterval = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan DrainBound = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _slots = new(options.Value.Concurrency);
    private readonly HashSet<Task> _tasks = [];
    private readonly CancellationTokenSource _abort = new();
    private bool _failing;

    public override void Dispose()
    {
        base.Dispose();
        _abort.Dispose();
        _slots.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!secrets.AreConfigured)
        {
            Log.NotConfigured(logger);
            return;
        }

        var prunedAt = time.GetTimestamp();
        try
        {
            while (true)
            {
                if (!await RunOnceAsync(stoppingToken))
                    await Task.Delay(Jitter.Spread(options.Value.PollInterval), time, stoppingToken);
                if (time.GetElapsedTime(prunedAt) < PruneInterval)
                    continue;
                prunedAt = time.GetTimestamp();
                await PruneAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await DrainAsync();
        }
    }

    /// <returns>True where there may be more at once.</returns>
    private async Task<bool> RunOnceAsync(CancellationToken stoppingToken)
    {
        // 1. At least one free slot, then as many as there are.
        await _slots.WaitAsync(stoppingToken);
        var free = 1;
        while (_slots.Wait(0, CancellationToken.None))
            free++;
        _tasks.RemoveWhere(task => task.IsCompleted);

        // 2. Claim. Not cancelled half-way: a claim that commits unseen would wait for its lease to run out.
        var claimed = await ClaimAsync(free);
        if (claimed.Count < free)
            _slots.Release(free - claimed.Count);

        // 3. Deliver.
        foreach (var delivery in claimed)
            _tasks.Add(Task.Run(() => DeliverAsync(delivery), CancellationToken.None));
        return claimed.Count == free;
    }

    private async Task<IReadOnlyList<ClaimedDelivery>> ClaimAsync(int limit)
    {
        try
        {
            var claimed = await outbox.ClaimAsync(limit, CancellationToken.None);
            _failing = false;
            return claimed;
        }
        catch (Exception exception)
        {
            // Said once, not with every poll.
            if (!_failing)
                Log.ClaimFailed(logger, exception.GetBaseException().Message);
            _failing = true;
            return [];
        }
    }

    private async Task DeliverAsync(ClaimedDelivery delivery)
    {
        try
        {
            var startedAt = time.GetTimestamp();
            var answer = await sender.SendAsync(delivery, KeysOf(delivery), _abort.Token);
            metrics.Attempted(answer, time.GetElapsedTime(startedAt));
            var state = await outbox.RecordAsync(delivery, answer, CancellationToken.None);
            Log.Attempted(logger, delivery.Id, delivery.Attempts, answer.Error ?? "delivered", state);
        }
        catch (OperationCanceledException) when (_abort.IsCancellationRequested)
        {
            // This worker stops; another delivers it when the lease is over.
        }
        catch (CryptographicException)
        {
            Log.NotOpened(logger, delivery.EndpointId);
        }
        catch (Exception exception)
        {
            // At least once: it is due again when the lease is over.
            Log.NotRecorded(logger, delivery.Id, exception.GetBaseException().Message);
        }
        finally
        {
            _slots.Release();
        }
    }

    private IReadOnlyList<byte[]> KeysOf(ClaimedDelivery delivery)
    {
        var key = secrets.Open(delivery.TenantId, delivery.EndpointId, delivery.Sealed);
        return delivery.PreviousSealed is { } previous ? [key, secrets.Open(delivery.TenantId, delivery.EndpointId, previous)] : [key];
    }

    private async Task PruneAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (await outbox.PruneAsync(PruneBatch, cancellationToken) == PruneBatch)
                cancellationToken.ThrowIfCancellationRequested();
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            Log.PruneFailed(logger, exception.GetBaseException().Message);
        }
    }

    private async Task DrainAsync()
    {
        var drained = Task.WhenAll(_tasks);
        try
        {
            await drained.WaitAsync(DrainBound, time);
        }
        catch (TimeoutException)
        {
            await _abort.CancelAsync();
            await drained;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Accounts:SecretKey is not set: this worker delivers no webhooks")]
        public static partial void NotConfigured(ILogger logger);

        [LoggerMessage(LogLevel.Debug, "Delivery {DeliveryId}, attempt {Attempt}: {Outcome}, it is {State}")]
        public static partial void Attempted(ILogger logger, Guid deliveryId, int attempt, string outcome, string state);

        [LoggerMessage(LogLevel.Warning, "Webhooks' deliveries cannot be claimed; trying on: {Reason}")]
        public static partial void ClaimFailed(ILogger logger, string reason);

        [LoggerMessage(LogLevel.Warning, "Delivery {DeliveryId} could not be recorded, and is made again: {Reason}")]
        public static partial void NotRecorded(ILogger logger, Guid deliveryId, string reason);

        [LoggerMessage(LogLevel.Error, "The secret of webhook {EndpointId} was not sealed here: is Accounts:SecretKey the one of before?")]
        public static partial void NotOpened(ILogger logger, Guid endpointId);

        [LoggerMessage(LogLevel.Warning, "Webhooks' old deliveries could not be removed: {Reason}")]
        public static partial void PruneFailed(ILogger logger, string reason);
    }
}
