namespace ValueCanvas.Tests.Infrastructure;

/// <summary>What must take effect within a second.</summary>
internal static class Effect
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(1);

    /// <summary>Tried up to three times: a machine with other work may take its own time once, the product never does.</summary>
    /// <param name="attempt">How long it took.</param>
    public static async Task WithinASecondAsync(Func<Task<TimeSpan>> attempt)
    {
        List<TimeSpan> took = [];
        while (took.Count < 3)
        {
            took.Add(await attempt());
            if (took[^1] <= Bound)
                return;
        }

        Assert.Fail($"It took {string.Join(", ", took)}.");
    }
}
