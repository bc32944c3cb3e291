using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

/// <summary>The table of faults in docs/proxy.md, row by row against real servers.</summary>
public sealed class FaultTableTests
{
    private const string Whole = "whole answer";
    private const string Part = "part, one error event";

    // What a fault without a limit may add, as the median of three, on a busy machine.
    private const int AddedMilliseconds = 250;

    // fault; what the client gets; attempts; requests that reach a server; seconds of the limit that is waited for; blamed for, or null;
    // usage
    public static TheoryData<string, string, string, int, int, string?, string> Rows => new()
    {
        { "down", Whole, "1", 1, 0, null, "3+2" },
        { "refused", Whole, "2", 1, 0, "connect", "3+2" },
        { "reset", Whole, "2", 2, 0, "reset", "3+2" },
        { "500", Whole, "2", 2, 0, "server_error", "3+2" },
        { "429 with Retry-After", Whole, "2", 2, 0, null, "3+2" },
        { "408", Whole, "2", 2, 0, "server_error", "3+2" },
        { "503 with Retry-After", Whole, "2", 2, 0, null, "3+2" },
        { "401", Whole, "2", 2, 0, "credential", "3+2" },
        { "slow headers", Whole, "2", 2, 20, "headers_timeout", "3+2" },
        { "slow first token", Whole, "2", 2, 30, "first_token_timeout", "3+2" },
        { "empty 200 stream", Whole, "2", 2, 0, "empty_stream", "3+2" },
        { "nothing but [DONE]", Whole, "2", 2, 0, "empty_stream", "3+2" },
        { "error as first event", Whole, "2", 2, 0, "error_event", "3+2" },
        { "malformed first event", Whole, "2", 2, 0, "malformed", "3+2" },
        { "cut before content", Whole, "2", 2, 0, "cut", "3+2" },
        { "cut behind content", Part, "1", 1, 0, "cut", "0" },
        { "end without a finish behind content", Part, "1", 1, 0, "cut", "0" },
        { "error event behind content", Part, "1", 1, 0, "error_event", "0" },
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
        var added = new List<TimeSpan>();
        // A server without a connection is down after one failure: there three walls make the three tries.
        var (walls, failures) = limit > 0 ? (1, 1) : cause is "connect" or "dns" or "tls" ? (3, 1) : (1, 3);
        for (var i = 0; i < walls; i++)
        {
            await using var wall = await FaultWall.StartAsync(fault, context => FailAsync(context, fault));
            var healthy = await wall.HealthyAsync();
            for (var failure = 1; failure <= failures; failure++)
            {
                var outcome = await wall.AskAsync(TimeSpan.FromSeconds(limit), begins: client == Part);
                Assert.Equal((client, attempts, reached, usage), (outcome.Client, outcome.Attempts, outcome.Reached, outcome.Usage));
                added.Add(outcome.Took - healthy);
                if (fault != "down")
                    await AssertBlamedAsync(wall, cause, failure);

                wall.Clock.Advance(TimeSpan.FromSeconds(8)); // nobody cools any more
            }
        }

        // Of a limit the clock has moved exactly as far; what comes on top is as short as without one.
        var median = added.Order().ElementAt(added.Count / 2).TotalMilliseconds;
        TestContext.Current.SendDiagnosticMessage("{0}: {1:0.0} ms", fault, median);
        Assert.InRange(median, double.MinValue, limit == 0 ? AddedMilliseconds : 4 * AddedMilliseconds);
    }

    [Fact]
    public void Table_InTheDocumentation_IsThisOne() => Assert.All(Rows, row =>
    {
        var (fault, client, attempts, _, limit, cause, usage) = row.Data;
        var added = limit == 0 ? $"≤ {AddedMilliseconds} ms" : $"{limit} s";
        var billed = usage == "0" ? "none" : "the second's";
        AssertDocumented($"| {fault} | {client} | {attempts} | {added} | {Breaker(fault, cause)} | {billed} |");
    });

    internal static void AssertDocumented(string row)
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "ValueCanvas.sln")))
            directory = directory.Parent!;

        Assert.Contains(row, File.ReadAllText(Path.Combine(directory.FullName, "docs", "proxy.md")));
    }

    // Three failures in a row open it; one that cools is blamed for nothing.
    private static async Task AssertBlamedAsync(FaultWall wall, string? cause, int failures)
    {
        await ProxyHost.UntilAsync(async () => await wall.BreakerAsync() is var told && (cause is null
            ? told.GetProperty("coolingUntil").ValueKind != JsonValueKind.Null
            : told.GetProperty("failures").GetInt32() == failures
                && told.GetProperty("state").GetString() == (failures < 3 ? "closed" : "open")));
        var breaker = await wall.BreakerAsync();
        Assert.Equal(cause, breaker.GetProperty("lastFailure").GetString());
        Assert.Equal(cause is null ? "closed" : failures < 3 ? "closed" : "open", breaker.GetProperty("state").GetString());
        Assert.Equal(cause is null ? 0 : failures, breaker.GetProperty("failures").GetInt32());
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
            case "429 with Retry-After" or "503 with Retry-After":
                context.Response.Headers.RetryAfter = "7";
                context.Response.StatusCode = int.Parse(fault[..3], CultureInfo.InvariantCulture);
                break;
            case "500" or "408" or "401":
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
            case "nothing but [DONE]":
                await FakeReplica.EventAsync(context, "[DONE]");
                break;
            case "error event behind content":
                await FakeReplica.EventAsync(context, """{"error":{"message":"m","type":"t","param":null,"code":"stream_interrupted"}}""");
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
