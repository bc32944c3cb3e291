namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>What is held of one or two budgets for a call that is under way.</summary>
/// <param name="Id">Of its own.</param>
/// <param name="Parts">One for each budget.</param>
internal sealed record Reservation(Guid Id, IReadOnlyList<ReservedPart> Parts)
{
    /// <summary>Redis knows of it.</summary>
    public bool IsShared { get; init; }
}

/// <param name="Account">Whose.</param>
/// <param name="Nanos">Billionths of a US dollar.</param>
internal readonly record struct ReservedPart(BudgetAccount Account, long Nanos);
