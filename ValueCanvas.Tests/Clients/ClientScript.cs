using System.Text.Json;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.Clients;

/// <summary>
/// Runs the script of one library, once, against a proxy of its own with the simulator behind it, or against the Api before that. Each
/// check of the script is a test.
/// </summary>
public abstract class ClientScript(string script, bool throughApi = false) : IAsyncLifetime
{
    private const string SlowModel = "slow-model";

    private readonly Dictionary<string, string?> _errors = [];
    private string? _missing;
    private string _told = "";

    public async ValueTask InitializeAsync()
    {
        var folder = await NodePackages.FolderAsync();
        _missing = folder.Missing;
        if (_missing is not null)
            return;

        using var simulator = SimulatorServer.Start();
        using var slow = SimulatorServer.Start(("Model", SlowModel), ("ZeroDelay", "false"), ("StepBaseMilliseconds", "100"));
        await using var proxy = ProxyHost.Start(
            [simulator.Address.OriginalString, slow.Address.OriginalString], ("Inference:DefaultModel", SimulatorServer.Model));
        foreach (var replica in new[] { 0, 1 })
            await ProxyHost.UntilAsync(async () => (await proxy.ReplicaAsync(replica)).GetProperty("state").GetString() == "up");

        await using var api = throughApi ? new ApiHost(Address(proxy.Client)) : null;
        var run = await NodePackages.RunAsync("node", [script], folder.Path, TimeSpan.FromSeconds(120),
            ("BASE_URL", Address(api?.Client ?? proxy.Client)), ("KEY", api is null ? "none" : ApiHost.Key),
                ("MODEL", SimulatorServer.Model), ("SLOW_REPLICA", Address(slow.Client)), ("SLOW_MODEL", SlowModel));
        _told = run!.Value.Output + run.Value.Errors;
        foreach (var line in run.Value.Output.Split('\n').Where(line => line.StartsWith('{')))
        {
            using var check = JsonDocument.Parse(line);
            var ok = check.RootElement.GetProperty("ok").GetBoolean();
            _errors.Add(check.RootElement.GetProperty("name").GetString()!, ok ? null : check.RootElement.GetProperty("error").GetString());
        }
    }

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    public void Passed(string check)
    {
        Assert.SkipWhen(_missing is not null, _missing ?? "");
        Assert.True(_errors.TryGetValue(check, out var error), $"{script} did not get to '{check}': {_told}");
        Assert.True(error is null, error);
    }

    private static string Address(HttpClient client) => client.BaseAddress!.GetLeftPart(UriPartial.Authority);
}
