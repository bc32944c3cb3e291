using System.Text.Json;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.Clients;

/// <summary>Runs the script of one library, once, against a proxy of its own with the simulator behind it. Each check of the script is a test.</summary>
public abstract class ClientScript(string script) : IAsyncLifetime
{
    private readonly Dictionary<string, string?> _errors = [];
    private string? _missing;
    private string _told = "";

    public async ValueTask InitializeAsync()
    {
        var folder = await NodePackages.FolderAsync();
        _missing = folder.Missing;
        if (_missing is not null)
        {
            return;
        }

        // With a pace, so that there is a middle of a stream to leave in.
        using var simulator = SimulatorServer.Start(("ZeroDelay", "false"), ("StepBaseMilliseconds", "3"));
        await using var proxy = ProxyHost.Start([simulator.Address.OriginalString], ("Inference:DefaultModel", SimulatorServer.Model));
        await ProxyHost.UntilAsync(async () => (await proxy.ReplicaAsync(0)).GetProperty("state").GetString() == "up");
        var run = await NodePackages.RunAsync("node", [script], folder.Path, TimeSpan.FromSeconds(120),
            ("PROXY", Address(proxy.Client)), ("REPLICA", Address(simulator.Client)), ("MODEL", SimulatorServer.Model));
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
