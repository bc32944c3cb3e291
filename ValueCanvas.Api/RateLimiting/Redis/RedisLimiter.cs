using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>The counts of all instances together. Nobody waits longer than the timeout; null or false: it was not done in time.</summary>
/// <remarks>
/// All keys have one hash tag, and so one slot of a Redis cluster: a request is charged to all of its policies or none, the global ones
/// among them, which one script can do in one slot alone.
/// </remarks>
internal sealed class RedisLimiter
{
    // More than Redis will soon be told is not told one by one, but as a level when it is back.
    private const int MostToTell = 1000;

    private readonly IConnectionMultiplexer? _redis;
    private readonly ChargeBatches? _batches;
    private readonly RedisGate _gate;
    private readonly LocalLimiter _local;
    private readonly LeaseKeeper _leases;
    private readonly long _lifetime;

    public RedisLimiter(
        RedisGate gate, LocalLimiter local, LeaseKeeper leases, IOptions<RateLimitingOptions> options, IConnectionMultiplexer? redis = null)
    {
        (_redis, _gate, _local, _leases) = (redis, gate, local, leases);
        _batches = redis is null ? null : new(redis, KeyNames.Clock(options.Value.Prefix));
        _lifetime = (long)options.Value.LeaseLifetime.TotalMicroseconds;
    }

    /// <summary>False where Redis is switched off.</summary>
    public bool Exists => _redis is not null;

    /// <summary>What memory admits while Redis is not waited for can be counted there all the same.</summary>
    public bool CanTell => _redis is { IsConnected: true } && _batches!.Backlog < MostToTell;

    /// <summary>The decision; or the question that is still under way, for <see cref="AdoptAsync"/>; or neither.</summary>
    public async ValueTask<(LimitDecision? Decision, Task<ChargeAnswer>? Late)> ChargeAsync(IReadOnlyList<Charge> charges, string id)
    {
        if (_gate.IsOpen || _batches is null)
            return default;
        var question = Question(charges, id);
        _local.Ask(charges);
        var (answer, late) = await _gate.AskAsync(() => _batches.AskAsync(question));
        if (answer is not null)
            return (Follow(question, answer), null);
        _local.GiveUp(charges);
        return (null, late);
    }

    /// <summary>Asks though Redis is left alone; null where it cannot hear.</summary>
    public Task<ChargeAnswer>? TryAsk(IReadOnlyList<Charge> charges, string id) =>
        CanTell ? _batches!.AskAsync(Question(charges, id)) : null;

    /// <summary>A late answer that somebody waited for after all is one like any other.</summary>
    public LimitDecision Take(IReadOnlyList<Charge> charges, ChargeAnswer answer)
    {
        _local.Ask(charges);
        return Follow(Question(charges, answer.Decision.Id) with { Restored = new long[charges.Count] }, answer);
    }

    /// <summary>Memory has admitted it: it is counted for all instances when Redis comes to it.</summary>
    public Task<ChargeAnswer> TellAsync(IReadOnlyList<Charge> charges, string id) =>
        _batches!.AskAsync(Question(charges, id, isAdmitted: true));

    /// <summary>
    /// Waits, when memory has decided already, for what Redis says after all, and brings it into line: so every request is counted for all
    /// instances just once, however late Redis was. Nobody waits for this.
    /// </summary>
    public async Task AdoptAsync(IReadOnlyList<Charge> charges, LimitDecision made, Task<ChargeAnswer> late)
    {
        ChargeAnswer counted;
        try
        {
            // 1. What it holds now of a request that was refused is given back; what was admitted without room there is a debt.
            counted = await late;
            if (!made.Allowed)
            {
                if (counted.Decision.Allowed)
                    await _leases.SettleAsync(_redis!.GetDatabase(), counted.Decision, tokens: null);
                return;
            }

            var first = counted.Decision;
            if (!first.Allowed)
                counted = await TellAsync(charges, made.Id);
            _local.Adopt(made, first, counted);
        }
        catch (Exception)
        {
            // It broke off: what memory has counted is told when Redis is back.
            _local.Tell(made);
            return;
        }

        // 2. From here it is a request like any other.
        _leases.Begin(counted.Decision);
        var tokens = await made.Over;
        if (counted.Decision.NeedsSettling(tokens))
            await SettleAsync(counted.Decision, tokens);
        else
            _leases.End(counted.Decision);
    }

    public async ValueTask<bool> SettleAsync(LimitDecision decision, long? tokens)
    {
        _leases.End(decision);
        if (!_gate.IsOpen && _redis is not null)
            return (await _gate.AskAsync(() => SettleNowAsync(_redis, decision, tokens))).Answer is not null;
        if (CanTell)
            _ = SettleLateAsync(_redis!, decision, tokens);
        else
            _leases.Owe(decision, tokens);
        return false;
    }

    // Nobody waits for it.
    private async Task SettleLateAsync(IConnectionMultiplexer redis, LimitDecision decision, long? tokens)
    {
        try
        {
            await SettleNowAsync(redis, decision, tokens);
        }
        catch (Exception)
        {
            _leases.Owe(decision, tokens);
        }
    }

    private async Task<long[]> SettleNowAsync(IConnectionMultiplexer redis, LimitDecision decision, long? tokens)
    {
        var asked = _local.Moment();
        var answer = await _leases.SettleAsync(redis.GetDatabase(), decision, tokens);
        _local.Follow(decision, tokens, answer, asked);
        return answer;
    }

    private LimitDecision Follow(ChargeQuestion question, ChargeAnswer answer)
    {
        var decision = answer.Decision;
        _local.Follow(question, answer);
        if (decision.Allowed)
            _leases.Begin(decision);
        return decision;
    }

    private ChargeQuestion Question(IReadOnlyList<Charge> charges, string id, bool isAdmitted = false)
    {
        // First: what is counted here from now on may be missing in what is restored there.
        var asked = _local.Moment();
        var restored = new long[charges.Count];
        var epoch = _local.Epoch;
        for (var i = 0; i < restored.Length && !isAdmitted; i++)
            restored[i] = _local.LevelToRestore(charges[i], epoch);
        return new(charges, id, _lifetime, restored, isAdmitted) { Asked = asked };
    }
}
