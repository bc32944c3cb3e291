using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage;
using ValueCanvas.Tests.Chaos.Fleet;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.Worker;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Chaos.Faults;

public sealed class ClockFaultTests(ChaosFleet fleet) : FaultTest(fleet)
{
    private static readonly TimeSpan Apart = TimeSpan.FromMinutes(5);

    /// <summary>Two workers give way to others, whose clocks differ from the database's. In every run: <see cref="ClockTests"/>.</summary>
    [Fact(Explicit = true), Trait("fault", "clocks-apart")]
    public Task Workers_ClocksFiveMinutesApart_DoEachJobOnce() => UnderAsync("clocks five minutes fast and slow", async () =>
    {
        await Fleet.Workers.KillAsync(0);
        await Fleet.Workers.KillAsync(1);
        await using (await StartAsync(Apart))
        await using (await StartAsync(-Apart))
        {
            await Task.Delay(2 * Size.Fault, TimeProvider.System, Cancel);
        }

        await Fleet.Workers.ReplaceAsync(0);
        await Fleet.Workers.ReplaceAsync(1);
        var done = await Fleet.Database.ScalarAsync<long>(
            $"SELECT count(*) FROM llm_jobs WHERE state = 'succeeded' AND worker_id LIKE '%-{Environment.ProcessId}-%'");
        Assert.NotEqual(0, done);
        Note = $"{done} jobs done by them";
    });

    private Task<WorkerHost> StartAsync(TimeSpan shift)
    {
        var clock = new ShiftedClock();
        clock.Advance(shift);
        return WorkerHost.StartAsync(
            Fleet.Database.App,
            Fleet.Servers.Redis,
            builder =>
            {
                builder.AddServiceDefaults();
                builder.AddInference();
                builder.Services.AddUsage();
                builder.Services.AddCanvases();
                builder.Services.AddJobHandlers();
                builder.Services.AddSingleton<TimeProvider>(clock);
            },
            [("services:inference:http:0", Fleet.Models.Address), ("LOG_LEVEL", "none"), .. Fleet.Workers.Settings]);
    }
}
