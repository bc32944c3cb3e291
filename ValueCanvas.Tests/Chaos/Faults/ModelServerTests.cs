using ValueCanvas.Tests.Chaos.Fleet;

namespace ValueCanvas.Tests.Chaos.Faults;

public sealed class ModelServerTests(ChaosFleet fleet) : FaultTest(fleet)
{
    /// <summary>In every run of the tests <see cref="ReplicaTests"/> kills one.</summary>
    [Fact(Explicit = true), Trait("fault", "replica-killed")]
    public Task Replicas_KilledInTheMiddleOfStreams_LoseNoJob() => UnderAsync("model servers killed in the middle of streams", async () =>
    {
        for (var i = 0; i < Size.Times; i++)
        {
            await Fleet.Models.KillAsync(i % 2);
            await Task.Delay(Size.Fault / 6, TimeProvider.System, Cancel);
            await Fleet.Models.ReplaceAsync(i % 2);
            await Task.Delay(Size.Fault / 4, TimeProvider.System, Cancel);
        }
    });
}
