using ValueCanvas.Api.Audit;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Audit;

/// <summary>What strangers can write is bounded, and none of it is forgotten.</summary>
public sealed class AuditBudgetTests
{
    private static readonly (string, string)[] Settings =
        [("Audit:MaxRefusalsPerMinute", "20"), ("Audit:MaxRefusalsPerSource", "5")];

    [Fact]
    public async Task Refusals_OfOneSource_AreCountedBeyondItsShare()
    {
        var clock = new SteppedClock();
        await using var audit = new AuditWriting("Host=nowhere", clock, Settings);
        Refuse(audit, "198.51.100.1", "auth.login", 1_000);
        Refuse(audit, "198.51.100.2", "auth.login", 1);
        Assert.Equal(6, Taken(audit).Count);

        clock.Advance(TimeSpan.FromMinutes(1));

        var summary = Assert.Single(Taken(audit));
        Assert.Equal("request.refusals_summed", summary.Event);
        Assert.Equal("""{"auth.login":"995"}""", summary.Details);
        Refuse(audit, "198.51.100.1", "auth.login", 3);
        Assert.Equal(3, Taken(audit).Count);
    }

    [Fact]
    public async Task Refusals_OfManySources_AreCountedBeyondTheWholeShare()
    {
        var clock = new SteppedClock();
        await using var audit = new AuditWriting("Host=nowhere", clock, Settings);
        for (var i = 0; i < 250; i++)
            Refuse(audit, $"198.51.100.{i}", i % 2 == 0 ? "auth.login" : "request.refused", 2);
        Assert.Equal(20, Taken(audit).Count);

        clock.Advance(TimeSpan.FromMinutes(1));

        Assert.Equal("""{"auth.login":"240","request.refused":"240"}""", Sorted(Assert.Single(Taken(audit)).Details!));
    }

    [Fact]
    public async Task Refusals_OfOneSlash64_AreOneSource()
    {
        await using var audit = new AuditWriting("Host=nowhere", new SteppedClock(), Settings);
        for (var i = 0; i < 20; i++)
            Refuse(audit, $"2001:db8:1:2::{i:x}", "auth.login", 1);

        Assert.Equal(5, Taken(audit).Count);
    }

    [Fact]
    public async Task Record_OfSuccesses_IsNotBounded()
    {
        await using var audit = new AuditWriting("Host=nowhere", new SteppedClock(), Settings);
        for (var i = 0; i < 100; i++)
            audit.Log.Record(AuditWriting.From("198.51.100.1"), new("auth.login"));

        Assert.Equal(100, Taken(audit).Count);
    }

    [Fact]
    public async Task Refusals_OfACallerWhileStrangersAttack_HaveAShareOfTheirOwn()
    {
        await using var audit = new AuditWriting("Host=nowhere", new SteppedClock(), Settings);
        for (var i = 0; i < 250; i++)
            Refuse(audit, $"198.51.100.{i}", "auth.login", 1);
        Taken(audit);

        for (var i = 0; i < 100; i++)
        {
            audit.Log.Record(AuditWriting.From("198.51.100.1"), new(
                "key.created", AuditOutcome.Denied) { Actor = AuditActor.User(Guid.Empty) });
        }

        Assert.Equal(5, Taken(audit).Count);
    }

    [Fact]
    public async Task Refusals_InAnUnfinishedMinute_AreToldWhenTheServiceStops()
    {
        await using var audit = new AuditWriting("Host=nowhere", new SteppedClock(), Settings);
        Refuse(audit, "198.51.100.1", "auth.login", 7);
        Taken(audit);

        audit.Log.Flush();

        Assert.Equal("""{"auth.login":"2"}""", Assert.Single(Taken(audit)).Details);
    }

    private static void Refuse(AuditWriting audit, string address, string name, int times)
    {
        for (var i = 0; i < times; i++)
            audit.Log.Record(AuditWriting.From(address), new(name, AuditOutcome.Denied));
    }

    private static List<AuditRow> Taken(AuditWriting audit)
    {
        var rows = new List<AuditRow>();
        while (audit.Queue.TryTake(out var row))
            rows.Add(row);
        return rows;
    }

    private static string Sorted(string json) =>
        "{" + string.Join(',', json.Trim('{', '}').Split(',').Order(StringComparer.Ordinal)) + "}";
}
