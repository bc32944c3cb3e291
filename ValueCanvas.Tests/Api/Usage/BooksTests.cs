using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.Api.Usage;

/// <summary>What stands in the books after calls through Api, proxy and simulator as they are.</summary>
public sealed class BooksTests(ServersFixture servers) : IAsyncLifetime
{
    private const string InternalKey = "the-internal-key-of-tests";
    private const string Stream =
        """
        {"model":"default","stream":true,"max_tokens":40,"ignore_eos":true,"messages":[{"role":"user","content":"Tell me about tea."}]}
        """;

    private SimulatorServer _simulator = null!;
    private ProxyHost _proxy = null!;
    private ApiHost _api = null!;
    private string _admin = "";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        // Slow enough that streams can be left in the middle.
        _simulator = SimulatorServer.Start(("ZeroDelay", "false"));
        _proxy = ProxyHost.Start(
            [_simulator.Address.ToString().TrimEnd('/')],
            ("Inference:DefaultModel", SimulatorServer.Model), ("Inference:InternalKey", InternalKey));
        _admin = await servers.CreateMigratedDatabaseAsync("books");
        _api = new ApiHost(
            _proxy.Client.BaseAddress!.ToString().TrimEnd('/'), ApiDatabase.AsApp(_admin), servers.Redis,
            ("Inference:InternalKey", InternalKey),
            ("Usage:Prices:0:Model", SimulatorServer.Model), ("Usage:Prices:0:Input", "10"), ("Usage:Prices:0:Output", "100"),
            ("Usage:ReplicaHour:vllm", "4"),
            ("Usage:FollowInterval", "00:00:00.1"), ("Usage:Budgets:Refresh", "00:00:00.2"), ("Usage:Budgets:Wait", "00:00:00"),
            ("RateLimiting:Enabled", "false"));
        await ProxyHost.UntilAsync(async () => (await _api.GetAsync("/health/ready")).StatusCode == HttpStatusCode.OK);
    }

    public async ValueTask DisposeAsync()
    {
        await _api.DisposeAsync();
        await _proxy.DisposeAsync();
        _simulator.Dispose();
    }

    [Fact]
    public async Task Calls_OfEveryKind_HaveTheirRows_WithWhatTheClientWasToldOfThem()
    {
        // 1. The platform's own chat.
        var chat = (await ApiHost.JsonAsync(await _api.PostAsync("/api/llm/chat",
            """{"prompt":"Test","maxTokens":5}"""))).GetProperty("data");
        var row = await RowAsync("route = '/api/llm/chat'");
        Assert.Equal(
            (chat.GetProperty("usage").GetProperty("inputTokens").GetInt32(),
                chat.GetProperty("usage").GetProperty("outputTokens").GetInt32()),
            ((int)row["input_tokens"]!, (int)row["output_tokens"]!));
        var cost = ((int)row["input_tokens"]! * 10m + (int)row["output_tokens"]! * 100m) / 1_000_000;
        Assert.Equal((cost, cost), (chat.GetProperty("cost").GetDecimal(), (decimal)row["cost"]!));
        Assert.Equal(
            (Tenants.Development, SimulatorServer.Model, "default", "vllm", "completed", "reported", 200),
            ((Guid)row["tenant_id"]!, (string)row["model"]!, (string)row["requested_model"]!, (string)row["provider"]!,
                (string)row["status"]!,
                (string)row["usage_source"]!, (int)row["http_status"]!));
        Assert.NotNull(row["api_key_id"]);
        Assert.True((double)row["replica_seconds"]! > 0);
        Assert.True((decimal)row["replica_cost"]! > 0);

        // 2. A stream of OpenAI's API: byte for byte what the proxy answers, with nothing of the accounts.
        var text = await TextAsync(await _api.PostAsync("/v1/chat/completions", Stream));
        var direct = await TextAsync(await _proxy.PostAsync(Stream));
        Assert.Equal(Contents(direct), Contents(text));
        Assert.All(text.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.StartsWith("data: ", line,
            StringComparison.Ordinal));
        row = await RowAsync("route = '/v1/chat/completions'");
        Assert.Equal((40, true, "completed", "reported"), ((int)row["output_tokens"]!, (bool)row["streamed"]!, (string)row["status"]!,
            (string)row["usage_source"]!));

        // 3. What failed costs nothing.
        using var unknown = await _api.PostAsync("/v1/chat/completions", """{"model":"gpt-9","messages":[]}""");
        row = await RowAsync("requested_model = 'gpt-9'");
        Assert.Equal(("failed", 404, 0m), ((string)row["status"]!, (int)row["http_status"]!, (decimal)row["cost"]!));

        // 4. A canvas: by its prompt.
        using var canvas = await _api.PostAsync("/api/canvas/generate",
            """{"businessDescription":"A bakery in Leipzig that delivers bread by bike"}""");
        Assert.Equal(HttpStatusCode.Created, canvas.StatusCode);
        row = await RowAsync("prompt_key = 'canvas.generate'");
        Assert.Matches("^[0-9a-f]{12}$", (string)row["prompt_version"]!);

        // 5. The report, in each of its forms.
        var report = (await ApiHost.JsonAsync(await _api.GetAsync("/api/usage?by=day,model,key,prompt"))).GetProperty("data");
        Assert.True(report.GetProperty("items").GetArrayLength() >= 3);
        var sum = report.GetProperty("items").EnumerateArray().Sum(item => item.GetProperty("cost").GetDecimal());
        Assert.Equal(await ScalarAsync<decimal>("SELECT sum(cost) FROM llm_usage"), sum);
        Assert.Equal(sum, report.GetProperty("total").GetProperty("cost").GetDecimal());
        Assert.Equal(
            await ScalarAsync<long>("SELECT count(*) FROM llm_usage"), report.GetProperty("total").GetProperty("calls").GetInt64());
        var csv = (await TextAsync(await _api.GetAsync("/api/usage?by=prompt&format=csv"))).Split("\r\n",
            StringSplitOptions.RemoveEmptyEntries);
        Assert.StartsWith("day,model,provider,", csv[0], StringComparison.Ordinal);
        Assert.Contains(csv, line => line.StartsWith(",,,,canvas.generate,", StringComparison.Ordinal));
        await ApiHost.ProblemAsync(await _api.GetAsync("/api/usage?by=colour"), 400);
        await ApiHost.ProblemAsync(await _api.GetAsync("/api/usage?from=2026-02-30"), 400);
        await ApiHost.ProblemAsync(await _api.GetAsync("/api/usage?from=2026-02-03&to=2026-02-01"), 400);

        // 6. Requests are noted as well, and nothing of what they said.
        await UsageWriterTests.UntilAsync(
            async () => await ScalarAsync<long>("SELECT count(*) FROM request_logs WHERE route = '/api/llm/chat'") == 1);
        Assert.False(await ScalarAsync<bool>(
            "SELECT EXISTS (SELECT FROM llm_usage u WHERE u::text LIKE '%bakery%' OR u::text LIKE '% tea%')"));
        Assert.True(await ScalarAsync<long>("SELECT count(*) FROM system_metrics WHERE name = 'process.memory.bytes' AND value > 0") > 0);
    }

    [Fact]
    public async Task Budget_UsedUp_RefusesInTheWordsOfEachApi_AndIsToldOfOnce()
    {
        using var set = await PutAsync("/api/usage/budget", """{"amount":0.0001,"period":"month","alertAt":[50,100]}""");
        Assert.Equal(HttpStatusCode.OK, set.StatusCode);
        await UsageWriterTests.UntilAsync(async () =>
        {
            using var answer = await _api.PostAsync("/api/llm/chat", """{"prompt":"Test","maxTokens":5}""");
            return answer.StatusCode == HttpStatusCode.TooManyRequests;
        });

        var problem = await ApiHost.ProblemAsync(await _api.PostAsync("/api/llm/chat", """{"prompt":"Test","maxTokens":5}"""), 429);
        Assert.EndsWith(":budget-exceeded", problem.GetProperty("type").GetString(), StringComparison.Ordinal);
        using var refused = await _api.PostAsync("/v1/chat/completions", Stream);
        Assert.True(refused.Headers.RetryAfter!.Delta > TimeSpan.Zero);
        var error = await ApiHost.OpenAiErrorAsync(refused, 429);
        Assert.Equal(("insufficient_quota", "budget_exceeded"), (error.GetProperty("type").GetString(),
            error.GetProperty("code").GetString()));
        Assert.Contains("0.0001 US dollars for this month", error.GetProperty("message").GetString(), StringComparison.Ordinal);

        // Raised, it holds again; what was spent is not forgotten.
        using var raised = await PutAsync("/api/usage/budget", """{"amount":5,"period":"month"}""");
        await UsageWriterTests.UntilAsync(async () =>
        {
            using var answer = await _api.PostAsync("/api/llm/chat", """{"prompt":"Test","maxTokens":5}""");
            return answer.StatusCode == HttpStatusCode.OK;
        });
        var budget = (await ApiHost.JsonAsync(await _api.GetAsync("/api/usage/budgets"))).GetProperty("data").GetProperty("tenant");
        Assert.Equal(await ScalarAsync<decimal>("SELECT sum(cost) FROM llm_usage"), budget.GetProperty("spent").GetDecimal());

        // An operator's cannot be changed by the tenant.
        using var locked = await PutAsync($"/api/admin/budgets/{Tenants.Development}", """{"amount":1,"period":"day","mode":"strict"}""");
        Assert.Equal(HttpStatusCode.OK, locked.StatusCode);
        Assert.Equal("budget-locked", CodeOf(await ApiHost.ProblemAsync(await PutAsync("/api/usage/budget",
            """{"amount":5,"period":"month"}"""), 403)));
        await ApiHost.ProblemAsync(await PutAsync($"/api/admin/budgets/{Guid.NewGuid()}", """{"amount":5,"period":"month"}"""), 404);
        await ApiHost.ProblemAsync(await PutAsync("/api/usage/budget", """{"amount":0,"period":"year","mode":"x","alertAt":[0]}"""), 400);
    }

    [Fact]
    public async Task Price_SetLive_CountsForLaterCalls()
    {
        using var set = await PutAsync(
            "/api/admin/prices",
            $$"""{"model":"{{SimulatorServer.Model}}","provider":"vllm","input":0,"cachedInput":0,"output":1000000}""");
        Assert.Equal(HttpStatusCode.OK, set.StatusCode);

        await UsageWriterTests.UntilAsync(async () =>
        {
            var data = (await ApiHost.JsonAsync(await _api.PostAsync("/api/llm/chat",
                """{"prompt":"Test","maxTokens":2}"""))).GetProperty("data");
            return data.GetProperty("cost").GetDecimal() == data.GetProperty("usage").GetProperty("outputTokens").GetInt32();
        });

        var listed = (await ApiHost.JsonAsync(await _api.GetAsync("/api/admin/prices"))).GetProperty("data");
        Assert.Equal(["live", "configuration"], listed.EnumerateArray().Select(price => price.GetProperty("source").GetString()));
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        using var deleted = await _api.Client.DeleteAsync(
            $"/api/admin/prices?model={Uri.EscapeDataString(SimulatorServer.Model)}&provider=vllm&from={today}", Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        await ApiHost.ProblemAsync(await PutAsync("/api/admin/prices", """{"model":"","input":-1}"""), 400);
    }

    private static string? CodeOf(JsonElement problem) => problem.GetProperty("type").GetString()!.Split(':')[^1];

    // Ids and times differ between two answers; what they say does not.
    private static string[] Contents(string stream) =>
    [
        .. stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Where(line => line.StartsWith("data: {", StringComparison.Ordinal))
            .Select(line => JsonDocument.Parse(line["data: ".Length..]).RootElement.GetProperty("choices").GetRawText()),
    ];

    private static async Task<string> TextAsync(HttpResponseMessage response)
    {
        using (response)
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            return await response.Content.ReadAsStringAsync(Cancellation);
        }
    }

    private Task<HttpResponseMessage> PutAsync(string path, string json) =>
        _api.Client.PutAsync(path, new StringContent(json, Encoding.UTF8, "application/json"), Cancellation);


    private async Task<T> ScalarAsync<T>(string sql)
    {
        await using var connection = new NpgsqlConnection(UsageHost.AsOperator(_admin));
        await connection.OpenAsync(Cancellation);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private async Task<Dictionary<string, object?>> RowAsync(string where)
    {
        // A row that nobody waits for comes a moment later.
        await UsageWriterTests.UntilAsync(async () => await ScalarAsync<long>($"SELECT count(*) FROM llm_usage WHERE {where}") > 0);
        await using var connection = new NpgsqlConnection(UsageHost.AsOperator(_admin));
        await connection.OpenAsync(Cancellation);
        await using var command = new NpgsqlCommand($"SELECT * FROM llm_usage WHERE {where} LIMIT 1", connection);
        await using var reader = await command.ExecuteReaderAsync(Cancellation);
        Assert.True(await reader.ReadAsync(Cancellation));
        return Enumerable.Range(0, reader.FieldCount)
            .ToDictionary(reader.GetName, column => reader.IsDBNull(column) ? null : reader.GetValue(column));
    }
}
