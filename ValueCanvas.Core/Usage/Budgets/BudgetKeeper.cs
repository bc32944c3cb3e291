using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Usage.Pricing;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>
/// Behind the calls: follows budgets and prices that were set elsewhere, tells Redis what was spent and the other instances what is held,
/// reads again what PostgreSQL knows, and tells of thresholds.
/// </summary>
internal sealed partial class BudgetKeeper(
    BudgetBook book, BudgetRedis redis, BudgetTable table, PriceList prices, UsageMetrics metrics, IOptions<UsageOptions> options,
    TimeProvider time,
    ILogger<BudgetKeeper> logger) : BackgroundService
{
    private const int MostUnsettled = 10_000;
    private static readonly TimeSpan Unused = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2);

    // An instance that was not heard of for longer is not there any more.
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    private readonly Guid _instance = Guid.NewGuid();
    private long _revision = -1;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        try
        {
            await Task.WhenAll(FollowAsync(stoppingToken), SettleAsync(stoppingToken), TellAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The end of the service.
        }
    }

    private async Task FollowAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.FollowInterval, time);
        do
        {
            try
            {
                await ReadAsync(stoppingToken);
                await RefreshAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested && UsageTable.IsAway(exception))
            {
                // What is known goes on.
                Log.Away(logger, exception.GetType().Name);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task TellAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.FollowInterval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (book.HasStrict && await redis.TellAsync(_instance, book.Holds, Silence + 2 * options.Value.FollowInterval) is { } elsewhere)
                book.Heard(elsewhere);
        }
    }

    private async Task ReadAsync(CancellationToken stoppingToken)
    {
        using var bound = new CancellationTokenSource(Bound, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, stoppingToken);
        // Asked for first: what changes while the rest is read is read again.
        var revision = await table.RevisionAsync(joined.Token);
        if (revision == _revision)
            return;
        book.Follow(await table.BudgetsAsync(joined.Token));
        prices.Follow(await table.PricesAsync(joined.Token));
        _revision = revision;
    }

    private async Task RefreshAsync(CancellationToken stoppingToken)
    {
        foreach (var account in book.Accounts)
        {
            if (account.RefreshedAt is { } at && time.GetElapsedTime(at) < options.Value.Budgets.Refresh)
                continue;
            if (!await book.LoadAsync(account, stoppingToken))
                return;
            await AlertAsync(account, stoppingToken);
        }

        book.Forget(Unused);
    }

    private async Task SettleAsync(CancellationToken stoppingToken)
    {
        Queue<(Reservation Reservation, long Spent)> unsettled = new();
        await foreach (var settled in book.Settled.Reader.ReadAllAsync(stoppingToken))
        {
            if (settled.Reservation.IsShared && unsettled.Count < MostUnsettled)
                unsettled.Enqueue(settled);
            // Redis away: it stays held there until it is back, or for its lifetime.
            while (unsettled.TryPeek(out var next) && await redis.SettleAsync(next.Reservation, next.Spent) is { } spent)
            {
                unsettled.Dequeue();
                for (var i = 0; i < spent.Length; i++)
                    next.Reservation.Parts[i].Account.Heard(spent[i]);
            }

            foreach (var (account, _) in settled.Reservation.Parts)
                await AlertAsync(account, stoppingToken);
        }
    }

    private async Task AlertAsync(BudgetAccount account, CancellationToken stoppingToken)
    {
        if (account.Crossed() is not { } threshold)
            return;
        try
        {
            if (!await table.TryAlertAsync(account, threshold, stoppingToken))
                return;
            metrics.Alert();
            Log.Crossed(logger, account.Budget.Subject, account.Budget.TenantId, threshold, account.Budget.Period.ToName());
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested && UsageTable.IsAway(exception))
        {
            account.Uncross(threshold); // told when the database is back
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Debug, "Budgets and prices are those of before: the database is away ({ExceptionType})")]
        public static partial void Away(ILogger logger, string exceptionType);

        [LoggerMessage(LogLevel.Warning, "The budget of {Subject} of tenant {TenantId} is used to {Threshold} % in this {Period}")]
        public static partial void Crossed(ILogger logger, string subject, Guid tenantId, int threshold, string period);
    }
}
