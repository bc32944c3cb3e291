using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

/// <summary>The table of faults in docs/proxy.md, row by row against real servers.</summary>
public sealed class FaultTableTests
{
    private const string Whole = "whole answer";
    private const string Part = "part, one error event";

    // fault; what the client gets; attempts; requests that reach a server; seconds of the limit that is waited for; blamed for, or null; usage
    public static TheoryData<string, string, string, int, int, string?, string> Rows => new()
    {
        { "down", Whole, "1", 1, 0, null, "3+2" },
        { "refused", Whole, "2", 1, 0, "connect", "3+2" },
        { "reset", Whole, "2", 2, 0, "reset", "3+2" },
        { "500", Whole, "2", 2, 0, "server_error", "3+2" },
        { "429 with Retry-After", Whole, "2", 2, 0, null, "3+2" },
        { "401", Whole, "2", 2, 0, "credential", "3+2" },
        { "slow headers", Whole, "2", 2, 20, "headers_timeout", "3+2" },
        { "slow first token", Whole, "2", 2, 30, "first_token_timeout", "3+2" },
        { "empty 200 stream", Whole, "2", 2, 0, "empty_stream", "3+2" },
        { "error as first event", Whole, "2", 2, 0, "error_event", "3+2" },
        { "malformed first event", Whole, "2", 2, 0, "malformed", "3+2" },
        { "cut before content", Whole, "2", 2, 0, "cut", "3+2" },
        { "cut behind content", Part, "1", 1, 0, "cut", "0" },
        { "malformed event behind content", Part, "1", 1, 0, "malformed", "0" },
        { "stall behind content", Part, "1", 1, 60, "stall", "0" },
        { "DNS failure", Whole, "2", 1, 0, "dns", "3+2" },
        { "TLS failure", Whole, "2", 1, 0, "tls", "3+2" },
    };

    [Theory]
    [MemberData(nameof(Rows), DisableDiscoveryEnumeration = true)]
    public async Task Fault_OfTheFirstServer_IsAsTheTableSays(
        string fault, string client, string attempts, int reached, int limit, string? cause, string usage)
    {
        await using var wall = await FaultWall.StartAsync(fault, context => FailAsync(context, fault));
        var started = Stopwatch.GetTimestamp();
        var outcome = await wall.AskAsync(waits: limit > 0, begins: client == Part);
        var elapsed = Stopwatch.GetElapsedTime(started);

        Assert.Equal((client, attempts, reached, usage), (outcome.Client, outcome.Attempts, outcome.Reached, outcome.Usage));
        // Without a limit to wait for it is milliseconds; what is allowed here is what a busy machine may add.
        Assert.InRange(outcome.Waited, TimeSpan.FromSeconds(limit), TimeSpan.FromSeconds(limit == 0 ? 0 : limit + 30));
        Assert.True(limit > 0 || elapsed < TimeSpan.FromSeconds(5), $"{fault} added {elapsed}");
        TestContext.Current.SendDiagnosticMessage("{0}: {1:0.0} ms", fault, elapsed.TotalMilliseconds);
        if (fault == "down")
        {
            return; // never asked: there is nothing to judge
        }

        await ProxyHost.UntilAsync(async () => (await wall.BreakerAsync()).GetProperty("lastFailure").GetString() == cause);
        var breaker = await wall.BreakerAsync();
        Assert.Equal("closed", breaker.GetProperty("state").GetString());
        Assert.Equal(cause is null ? 0 : 1, breaker.GetProperty("failures").GetInt32());
        Assert.Equal(fault.StartsWith("429", StringComparison.Ordinal), breaker.GetProperty("coolingUntil").ValueKind != System.Text.Json.JsonValueKind.Null);
    }

    [Fact]
    public void Table_InTheDocumentation_IsThisOne()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "ValueCanvas.sln")))
        {
            directory = directory.Parent!;
        }

        var text = File.ReadAllText(Path.Combine(directory.FullName, "docs", "proxy.md"));
        Assert.All(Rows, row =>
        {
            var (fault, client, attempts, _, limit, cause, usage) = row.Data;
            var waited = limit == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{limit} s");
            Assert.Contains($"| {fault} | {client} | {attempts} | {waited} | {Breaker(fault, cause)} | {(usage == "0" ? "none" : "the second's")} |", text);
        });
    }

    private static string Breaker(string fault, string? cause) =>
        cause is not null ? $"`{cause}`" : fault == "down" ? "never asked" : "cools, no blame";

    private static async Task FailAsync(HttpContext context, string fault)
    {
        const string role = """{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}""";
        if (fault.EndsWith("behind content", StringComparison.Ordinal))
        {
            await FakeReplica.EventAsync(context, role);
            await FakeReplica.EventAsync(context, """{"choices":[{"index":0,"delta":{"content":"hel"},"finish_reason":null}]}""");
        }

        switch (fault)
        {
            case "reset":
                context.Abort();
                break;
            case "429 with Retry-After":
                context.Response.Headers.RetryAfter = "7";
                context.Response.StatusCode = 429;
                break;
            case "500" or "401":
                context.Response.StatusCode = int.Parse(fault, CultureInfo.InvariantCulture);
                break;
            case "slow headers" or "stall behind content":
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
                break;
            case "slow first token":
                await FakeReplica.EventAsync(context, role);
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
                break;
            case "empty 200 stream":
                context.Response.ContentType = "text/event-stream";
                break;
            case "error as first event":
                await FakeReplica.EventAsync(context, """{"error":{"message":"m","type":"t","param":null,"code":500}}""");
                break;
            case "malformed first event" or "malformed event behind content":
                await FakeReplica.EventAsync(context, "{\"choices\":[");
                await FakeReplica.EventAsync(context, "[DONE]");
                break;
            case "cut before content":
                await FakeReplica.EventAsync(context, role);
                throw new InvalidOperationException("the server dies");
            case "cut behind content":
                throw new InvalidOperationException("the server dies");
        }
    }
}
