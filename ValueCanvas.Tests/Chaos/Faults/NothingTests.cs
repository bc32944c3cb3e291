using ValueCanvas.Tests.Chaos.Fleet;

namespace ValueCanvas.Tests.Chaos.Faults;

public sealed class NothingTests(ChaosFleet fleet) : FaultTest(fleet)
{
    /// <summary>What the figures of the others are worth: how much the rate changes where nothing happens.</summary>
    [Fact(Explicit = true), Trait("fault", "nothing")]
    public Task Nothing_Happens_TheRateStays() =>
        UnderAsync("nothing", () => Task.Delay(Size.Fault, TimeProvider.System, Cancel));
}
