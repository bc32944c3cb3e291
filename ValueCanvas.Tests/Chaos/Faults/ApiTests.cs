using Npgsql;
using ValueCanvas.Tests.Chaos.Fleet;

namespace ValueCanvas.Tests.Chaos.Faults;

public sealed class ApiTests(ChaosFleet fleet) : FaultTest(fleet)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>In every run of the tests it is killed while Redis is away.</summary>
    [Fact(Explicit = true), Trait("fault", "api-killed")]
    public Task Api_KilledUnderLoad_LosesAndDoublesNoSubmission() => UnderAsync("the Api killed (SIGKILL) under load", async () =>
    {
        for (var i = 0; i < Math.Max(1, Size.Times / 2); i++)
        {
            await Fleet.KillApiAsync();
            await Fleet.ReplaceApiAsync();
            await Fleet.Database.MoreAsync(5);
        }
    });

    [Fact, Trait("fault", "api-killed-after-commit")]
    public Task Api_KilledBetweenCommitAndAnswer_TheSameKeyGetsTheSameJob() =>
        UnderAsync("an Api killed (SIGKILL) between commit and answer", async () =>
        {
            for (var i = 0; i < Math.Max(1, Size.Times / 2); i++)
                await KillAfterCommitAsync();
        });

    private async Task KillAfterCommitAsync()
    {
        var server = new NpgsqlConnectionStringBuilder(Fleet.Database.App);
        await using var proxy = new HoldingProxy(server.Host!, server.Port, "submit_llm_jobs");
        await using var api = await Fleet.StartApiAsync(
            new NpgsqlConnectionStringBuilder(Fleet.Database.App) { Host = "127.0.0.1", Port = proxy.Port }.ConnectionString);
        using var http = ChaosLoad.Client();
        http.Timeout = Patience;
        var key = Guid.NewGuid().ToString("N");
        Fleet.Load.Sent[key] = true;

        var asked = AskAsync();
        await proxy.Committed.WaitAsync(Patience, Cancel);
        await api.KillAsync();
        await asked;
        var stored = await Fleet.Database.ScalarAsync<Guid>($"SELECT id FROM llm_jobs WHERE args->>'prompt' = '{key}'");
        var again = await AgainAsync();

        Assert.NotEqual(Guid.Empty, stored);
        Assert.Equal((stored, true), again);
        Assert.Equal(1, await Fleet.Database.ScalarAsync<long>($"SELECT count(*) FROM llm_jobs WHERE args->>'prompt' = '{key}'"));
        await Fleet.Database.UntilAsync($"SELECT state = 'succeeded' FROM llm_jobs WHERE id = '{stored}'");

        // A busy one may ask to come again.
        async Task<(Guid Job, bool Replayed)?> AgainAsync()
        {
            for (var i = 0; i < 100; i++)
            {
                if (await ChaosLoad.SubmitAsync(http, Fleet.Api, key, Fleet.Load.Wrong, Cancel) is { } answer)
                    return answer;
                await Task.Delay(Pause, TimeProvider.System, Cancel);
            }

            return null;
        }

        // One that has only just started may say that it is not ready yet: no answer counts before the commit that is held.
        async Task AskAsync()
        {
            while (!proxy.Committed.IsCompleted)
            {
                Assert.Null(await ChaosLoad.SubmitAsync(http, api.Address, key, Fleet.Load.Wrong, Cancel));
                await Task.Delay(Pause, TimeProvider.System, Cancel);
            }
        }
    }
}
