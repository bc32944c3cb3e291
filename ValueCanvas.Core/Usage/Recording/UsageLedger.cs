using System.Net;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Budgets;
using ValueCanvas.Core.Usage.Pricing;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>Opens an entry for each call of a model: with its budget reserved and a note on disk, and a row at its end.</summary>
internal sealed class UsageLedger(UsageWriter writer, OpenCalls open, PriceList prices, BudgetBook budgets, TimeProvider time)
{
    /// <summary>An entry; or one that says why the call must not be made.</summary>
    public async ValueTask<CallEntry> OpenAsync(InferenceCall call, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var limits = budgets.Of(call);
        var asked = await AskedCall.ReadAsync(request, always: limits.Count > 0, cancellationToken);
        var entry = new CallEntry(this, call, asked, time);
        if (limits.Count > 0)
        {
            (entry.Reservation, entry.Refusal) = await budgets.ReserveAsync(
                limits, mode => prices.Estimate(asked, mode, time.GetUtcNow()), cancellationToken);
            if (entry.Refusal is not null)
                return entry;
        }

        open.Open(entry.Row(CallEnd.WrittenOff));
        return entry;
    }

    /// <summary>An entry for an answer whose payer has left while others read on, until it is known whether one of them pays.</summary>
    public CallEntry OpenOwed(InferenceCall payer, InferenceOutcome outcome, string? model, bool isStream)
    {
        var entry = new CallEntry(this, payer.Again() with { Outcome = outcome }, new AskedCall(AskedCall.Plain(model), null, 1, 0), time);
        entry.Answered(HttpStatusCode.OK, isStream);
        open.Open(entry.Row(CallEnd.WrittenOff));
        return entry;
    }

    /// <summary>It is counted elsewhere.</summary>
    public void Forget(Guid id) => open.Close(id);

    /// <summary>What the tenant pays, null where the model has no price; and what it cost the house.</summary>
    public (decimal? Cost, decimal? ReplicaCost) Price(InferenceOutcome outcome, string? requested, DateTimeOffset at) =>
        (outcome.Usage is { TotalTokens: > 0 } usage ? prices.CostOf(outcome.Provider, outcome.Model ?? requested, at, usage) : 0,
            prices.ReplicaCost(outcome.Attempts));

    /// <summary>Returns when the row is safe.</summary>
    public async Task CommitAsync(UsageRow row, Reservation? reservation)
    {
        try
        {
            await writer.CommitAsync(row);
        }
        finally
        {
            Settle(row, reservation);
        }
    }

    /// <summary>For a row that nobody waits for.</summary>
    public void Add(UsageRow row, Reservation? reservation)
    {
        writer.Add(row);
        Settle(row, reservation);
    }

    private void Settle(UsageRow row, Reservation? reservation)
    {
        if (reservation is not null)
            budgets.Settle(reservation, row.Cost ?? 0);
    }
}
