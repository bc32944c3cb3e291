using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Authentication;

public sealed class KnownKeysTests
{
    private static readonly TokenHash Hash = TokenHash.Of("a key");

    private readonly SteppedClock _clock = new();

    [Fact]
    public void Find_WhileTheDatabaseAnswers_IsLookedUpAgainAfterAWhile()
    {
        var keys = With(out _);
        _clock.Advance(KnownKeys.Renewal - TimeSpan.FromSeconds(1));
        keys.Confirm(_clock.GetTimestamp());
        Assert.NotNull(keys.Find(Hash));
        _clock.Advance(TimeSpan.FromSeconds(1));
        keys.Confirm(_clock.GetTimestamp());
        Assert.Null(keys.Find(Hash));
        Assert.NotNull(keys.FindTrusted(Hash));
    }

    [Fact]
    public void Find_WithoutTheDatabase_GoesOnForTenMinutesFromItsLastAnswer()
    {
        var keys = With(out _);
        _clock.Advance(TimeSpan.FromMinutes(4));
        keys.Confirm(_clock.GetTimestamp());

        _clock.Advance(KnownKeys.Trust - TimeSpan.FromSeconds(1));
        Assert.NotNull(keys.Find(Hash));
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Null(keys.Find(Hash));
        Assert.Null(keys.FindTrusted(Hash));
    }

    [Fact]
    public void Find_DatabaseNeverAnswered_GoesOnForTenMinutesFromTheLookUp()
    {
        var keys = With(out _);
        _clock.Advance(KnownKeys.Trust - TimeSpan.FromSeconds(1));
        Assert.NotNull(keys.Find(Hash));
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Null(keys.Find(Hash));
    }

    [Fact]
    public void Add_BeyondTheCapacity_ForgetsWhatWasNotUsedLately()
    {
        var keys = With(out var used);
        used.Use(_clock.GetUtcNow());
        for (var i = 0; i < 3 * KnownKeys.Capacity; i++)
            keys.Add(TokenHash.Of($"key {i}"), Key());

        Assert.InRange(keys.All.Count(), 1, KnownKeys.Capacity);
        Assert.NotNull(keys.Find(Hash));
    }

    [Fact]
    public void ChangedAccess_ForgetsWhatWasLookedUpBefore_NotWhatWasLookedUpAfter()
    {
        var before = Key();
        _clock.Advance(TimeSpan.FromSeconds(1));
        var heardAt = _clock.GetTimestamp();
        _clock.Advance(TimeSpan.FromSeconds(1));
        var after = before with { LookedUpAt = _clock.GetTimestamp() };
        foreach (var add in (Action<ChangedAccess>[])
        [
            changes => changes.Add(null, null, null, before.Caller.ApiKeyId, heardAt),
            changes => changes.Add(null, before.Caller.HolderId, null, null, heardAt),
            changes => changes.Add(null, before.Caller.HolderId, before.Caller.TenantId, null, heardAt),
        ])
        {
            var changes = new ChangedAccess();
            add(changes);
            Assert.True(changes.Concern(before));
            Assert.False(changes.Concern(after));
            Assert.False(changes.Concern(Key()));
        }
    }

    private KnownKeys With(out KnownKey key)
    {
        var keys = new KnownKeys(_clock);
        keys.Add(Hash, key = Key());
        return keys;
    }

    private KnownKey Key() => new(
        new Caller(Guid.NewGuid(), Role.Member, CredentialKind.ApiKey) { ApiKeyId = Guid.NewGuid(), HolderId = Guid.NewGuid() },
        ExpiresAt: null,
        _clock.GetTimestamp());
}
