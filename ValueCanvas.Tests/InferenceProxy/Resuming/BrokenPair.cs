using System.Text;
using System.Text.Json;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.InferenceProxy.Resuming;

/// <summary>Two simulated servers behind a proxy. The one that a request goes to first has a fault.</summary>
internal sealed class BrokenPair : IAsyncDisposable
{
    private readonly SimulatorServer[] _servers = [SimulatorServer.Start(), SimulatorServer.Start()];
    private readonly string _fault;

    private BrokenPair(string fault, (string, string)[] settings)
    {
        _fault = fault;
        Proxy = ProxyHost.Start(_servers.Select(server => server.Address.ToString().TrimEnd('/')),
            [("Inference:DefaultModel", SimulatorServer.Model), ("Inference:Routing:Policy", "round-robin"), .. settings]);
    }

    public ProxyHost Proxy { get; }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static async Task<BrokenPair> StartAsync(string fault, params (string, string)[] settings)
    {
        var pair = new BrokenPair(fault, settings);
        await ProxyHost.UntilAsync(async () =>
            (await pair.Proxy.ReplicaAsync(0)).GetProperty("state").GetString() == "up"
            && (await pair.Proxy.ReplicaAsync(1)).GetProperty("state").GetString() == "up");
        return pair;
    }

    /// <summary>The uninterrupted answer, from the sound server itself.</summary>
    public async Task<ReadStream> DirectAsync(string path, string body)
    {
        using var response = await _servers[1].SendAsync(path, body);
        return ReadStream.Of(await response.Content.ReadAsStringAsync(Cancel));
    }

    public async Task<ReadStream> WholeAsync(string body)
    {
        await FaultAsync(_servers[1], null);
        return await DirectAsync("/v1/chat/completions", body);
    }

    public async Task<string?> OtherNameAsync() => (await Proxy.ReplicaAsync(1)).GetProperty("name").GetString();

    public Task BreakOneAsync() => FaultAsync(_servers[0], _fault);

    public async Task BreakAllAsync()
    {
        await BreakOneAsync();
        await FaultAsync(_servers[1], _fault);
    }

    /// <summary>Asks through the proxy until the broken server was the one that began.</summary>
    public async Task<ReadStream> BrokenAsync(string path, string body)
    {
        await BreakOneAsync();
        var name = (await Proxy.ReplicaAsync(0)).GetProperty("name").GetString();
        for (var i = 0; i < 4; i++)
        {
            var (read, first) = await AskAsync(path, body);
            if (first == name)
                return read;
        }

        throw new InvalidOperationException("The broken server was never asked first.");
    }

    public async Task<ReadStream> AskAsync(string body) => (await AskAsync("/v1/chat/completions", body)).Read;

    public async ValueTask DisposeAsync()
    {
        await Proxy.DisposeAsync();
        _servers[0].Dispose();
        _servers[1].Dispose();
    }

    private async Task<(ReadStream Read, string First)> AskAsync(string path, string body)
    {
        using var response = await Proxy.PostAsync(body, path);
        var text = await response.Content.ReadAsStringAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        return (ReadStream.Of(text), response.Headers.GetValues("x-valuecanvas-target").Single());
    }

    private static async Task FaultAsync(SimulatorServer server, string? fault)
    {
        using var request = new HttpRequestMessage(fault is null ? HttpMethod.Delete : HttpMethod.Post, "/simulator/faults");
        var parts = fault?.Split('=');
        request.Content = parts is null ? null
            : new StringContent($"{{\"{parts[0].Replace('-', '_')}\":{parts[1]}}}", Encoding.UTF8, "application/json");
        using var response = await server.Client.SendAsync(request, Cancel);
        response.EnsureSuccessStatusCode();
    }
}

/// <summary>A stream as a client reads it.</summary>
internal sealed record ReadStream(
    string Raw, string Text, string? FinishReason, (int Prompt, int Completion) Usage, string[] Heads, int Dones)
{
    public static ReadStream Of(string raw)
    {
        var (text, finish, usage, heads, dones) = (new StringBuilder(), (string?)null, (0, 0), new HashSet<string>(), 0);
        foreach (var line in raw.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)))
        {
            if (line == "data: [DONE]")
            {
                dones++;
                continue;
            }

            var json = JsonDocument.Parse(line["data: ".Length..]).RootElement;
            if (!json.TryGetProperty("choices", out var choices))
                continue;

            heads.Add($"{json.GetProperty("id")} {json.GetProperty("object")} {json.GetProperty("created")} {json.GetProperty("model")}");
            foreach (var choice in choices.EnumerateArray())
            {
                text.Append(choice.TryGetProperty("delta", out var delta)
                    ? delta.TryGetProperty("content", out var content) ? content.GetString() : "" : choice.GetProperty("text").GetString());
                finish = choice.GetProperty("finish_reason").GetString() ?? finish;
            }

            if (json.TryGetProperty("usage", out var bill) && bill.ValueKind == JsonValueKind.Object)
                usage = (bill.GetProperty("prompt_tokens").GetInt32(), bill.GetProperty("completion_tokens").GetInt32());
        }

        return new ReadStream(raw, text.ToString(), finish, usage, [.. heads], dones);
    }
}
