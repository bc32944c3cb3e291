using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Threading.Channels;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>
/// Reserves of the budgets of a call's tenant and key before it is made, and settles afterwards. Instances share what is spent and held
/// through Redis; without it each goes on with what PostgreSQL last said and what it has spent itself since, and of strict budgets with a share.
/// </summary>
internal sealed class BudgetBook(
    BudgetRedis redis, BudgetTable table, UsageMetrics metrics, IOptions<UsageOptions> options, TimeProvider time)
{
    private const int Capacity = 50_000;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    private readonly Lock _alone = new();
    private readonly ConcurrentDictionary<(Guid Tenant, Guid? Key, DateOnly Start, BudgetPeriod Period), BudgetAccount> _accounts = new();
    private FrozenDictionary<(Guid Tenant, Guid? Key), Budget> _budgets = FrozenDictionary<(Guid, Guid?), Budget>.Empty;
    private IReadOnlyDictionary<long, long> _elsewhere = FrozenDictionary<long, long>.Empty;

    /// <summary>What has been spent, for <see cref="BudgetKeeper"/> to tell the others.</summary>
    public Channel<(Reservation Reservation, long Spent)> Settled { get; } =
        Channel.CreateBounded<(Reservation, long)>(
            new BoundedChannelOptions(Capacity) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite });

    public IEnumerable<BudgetAccount> Accounts => _accounts.Values;

    /// <summary>There are strict ones, of which the others must know what is held here.</summary>
    public bool HasStrict { get; private set; }

    /// <summary>What is held of them here.</summary>
    public IEnumerable<(AccountName Account, long Nanos)> Holds => _accounts.Values
        .Where(account => account.Budget.Mode == BudgetMode.Strict)
        .Select(account => (account.Name, account.Held))
        .Where(hold => hold.Held > 0);

    /// <summary>Those that a call must stay within; most have none.</summary>
    public IReadOnlyList<Budget> Of(InferenceCall call)
    {
        var budgets = Volatile.Read(ref _budgets);
        if (budgets.Count == 0)
            return [];
        var tenant = budgets.GetValueOrDefault((call.TenantId, null));
        var key = call.ApiKeyId is { } id ? budgets.GetValueOrDefault((call.TenantId, id)) : null;
        return (tenant, key) switch
        {
            (null, null) => [],
            ({ } one, null) => [one],
            (null, { } one) => [one],
            _ => [key, tenant],
        };
    }

    public void Follow(IReadOnlyCollection<Budget> budgets)
    {
        Volatile.Write(ref _budgets, budgets.ToFrozenDictionary(budget => (budget.TenantId, budget.ApiKeyId)));
        HasStrict = budgets.Any(budget => budget.Mode == BudgetMode.Strict);
    }

    /// <summary>What all other instances hold of strict budgets.</summary>
    public void Heard(IReadOnlyDictionary<long, long> elsewhere) => Volatile.Write(ref _elsewhere, elsewhere);

    /// <summary>As far as was heard.</summary>
    public long HeldElsewhere(BudgetAccount account) => Volatile.Read(ref _elsewhere).GetValueOrDefault(account.Name.Number);

    public async ValueTask<(Reservation? Reservation, BudgetRefusal? Refusal)> ReserveAsync(
        IReadOnlyList<Budget> budgets, Func<BudgetMode, decimal> estimate, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var reservation = new Reservation(
            Guid.NewGuid(),
            [.. budgets.Select(budget => new ReservedPart(Account(budget, now), BudgetAccount.ToNanos(estimate(budget.Mode))))]);
        var asked = time.GetTimestamp();
        while (true)
        {
            // 1. All of them, or none.
            var (held, refused) = await TryReserveAsync(reservation, cancellationToken);
            if (held is not null)
                return (held, null);

            // 2. What calls under way do not need after all comes back soon.
            var (account, spent, others) = refused!.Value;
            var part = reservation.Parts.First(part => part.Account == account);
            if (others > 0 && spent + part.Nanos <= account.Limit && time.GetElapsedTime(asked) < options.Value.Budgets.Wait)
            {
                await Task.Delay(Poll, time, cancellationToken);
                continue;
            }

            metrics.Refused();
            return (null, new BudgetRefusal(account.Budget, BudgetAccount.ToDollars(spent), account.End, account.End - time.GetUtcNow()));
        }
    }

    public void Settle(Reservation reservation, decimal cost)
    {
        var spent = BudgetAccount.ToNanos(cost);
        foreach (var (account, nanos) in reservation.Parts)
            account.Settle(nanos, spent);
        // Where it does not fit the others learn of it from PostgreSQL, and of what was held by its lifetime.
        Settled.Writer.TryWrite((reservation, spent));
    }

    /// <summary>Periods that are over, and what nobody has used for long.</summary>
    public void Forget(TimeSpan unused)
    {
        foreach (var (key, account) in _accounts)
        {
            if (account.Held == 0 && (account.End <= time.GetUtcNow() || time.GetElapsedTime(account.UsedAt) > unused))
                _accounts.TryRemove(key, out _);
        }
    }

    /// <summary>What was spent by the rows in PostgreSQL; false where it cannot be asked.</summary>
    public async ValueTask<bool> LoadAsync(BudgetAccount account, CancellationToken cancellationToken)
    {
        var mark = account.Mark();
        if (await table.SpentAsync(account.Budget, account.Start, cancellationToken) is not { } stored)
            return false;
        var nanos = BudgetAccount.ToNanos(stored);
        account.Load(nanos, mark);
        account.RefreshedAt = time.GetTimestamp();
        await redis.SeedAsync(account, nanos);
        return true;
    }

    private BudgetAccount Account(Budget budget, DateTimeOffset now)
    {
        var start = budget.Period.StartOf(now);
        var key = (budget.TenantId, budget.ApiKeyId, start, budget.Period);
        if (!_accounts.TryGetValue(key, out var account) || account.Budget != budget)
        {
            // Another amount: what was spent is asked for anew.
            account = new BudgetAccount(budget, start, budget.Period.EndOf(now));
            _accounts[key] = account;
        }

        account.UsedAt = time.GetTimestamp();
        return account;
    }

    private async ValueTask<(Reservation? Held, (BudgetAccount Account, long Spent, long Held)? Refused)> TryReserveAsync(
        Reservation reservation, CancellationToken cancellationToken)
    {
        var answer = await redis.ReserveAsync(reservation);
        for (var tries = 0; answer is { Verdict: RedisVerdict.Unknown, Which: var which } && tries < reservation.Parts.Count; tries++)
        {
            if (!await LoadAsync(reservation.Parts[which].Account, cancellationToken))
            {
                answer = null;
                break;
            }

            answer = await redis.ReserveAsync(reservation);
        }

        // Redis is back, and does not know yet what was spent without it.
        if (answer is { Verdict: RedisVerdict.Held } && reservation.Parts.Any(part => part.Account.IsAlone))
        {
            await redis.SettleAsync(reservation, 0);
            foreach (var (account, _) in reservation.Parts)
                await LoadAsync(account, cancellationToken);
            answer = await redis.ReserveAsync(reservation);
        }

        if (answer is { Verdict: RedisVerdict.Refused } no)
            return (null, (reservation.Parts[no.Which].Account, no.Spent, no.Held));
        if (answer is { Verdict: RedisVerdict.Held })
        {
            foreach (var (account, nanos) in reservation.Parts)
            {
                account.Hold(nanos);
                account.Met();
            }

            return (reservation with { IsShared = true }, null);
        }

        // Without it: by what the rows say, which whoever is to have a share of what is left asks for anew.
        foreach (var (account, _) in reservation.Parts)
        {
            if (!account.IsLoaded || (account.Budget.Mode == BudgetMode.Strict && !account.IsAlone && !redis.IsAbsent))
                await LoadAsync(account, cancellationToken);
        }

        var instances = redis.IsAbsent ? 1 : options.Value.Budgets.Instances;
        lock (_alone)
        {
            foreach (var (account, nanos) in reservation.Parts)
            {
                if (!account.Fits(nanos, instances, HeldElsewhere(account)))
                    return (null, (account, account.Spent, account.Held));
            }

            foreach (var (account, nanos) in reservation.Parts)
                account.Hold(nanos);
        }

        return (reservation, null);
    }
}
