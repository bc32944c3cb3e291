using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ValueCanvas.Core.Database;
using ValueCanvas.GatewayBench.Servers;
using ValueCanvas.ProxyBench.Processes;
using ProxyServers = ValueCanvas.ProxyBench.Processes.Servers;

namespace ValueCanvas.QueueBench.Servers;

/// <summary>The Api with two tenants who have keys, and workers before the same database.</summary>
internal sealed class QueueServers(
    QueueSettings settings, ProxyServers processes, DataServers data, GatewayServers gateway, Target api)
{
    /// <summary>What each job is submitted with.</summary>
    public const string Args = """{"prompt": "What makes a bakery in Lisbon special?"}""";

    public static readonly byte[] Body = Encoding.UTF8.GetBytes($$"""{"type":"chat","promptVariables":{{Args}}}""");

    public DataServers Data => data;

    public Guid Tenant { get; } = Tenants.Development;

    public Guid OtherTenant { get; private set; }

    /// <summary>Where the first tenant submits.</summary>
    public Target Api { get; } = api with { Route = "/api/queue/llm" };

    /// <summary>Where the second one does.</summary>
    public Target? OtherApi { get; private set; }

    /// <summary>Where a process of ours finds both servers, as variables.</summary>
    public IEnumerable<string> Connections => [$"ConnectionStrings__valuecanvas={gateway.App}", $"ConnectionStrings__cache={data.Redis}"];

    /// <summary>A time-ordered id as the Api makes them, with <c>hex</c> in scope.</summary>
    public static string IdAt(string milliseconds) =>
        $"(lpad(to_hex({milliseconds}), 12, '0') || '7' || substr(hex, 1, 3) || 'a' || substr(hex, 5, 15))::uuid";

    /// <summary>Registers, signs in and makes a key, as a customer does.</summary>
    public async Task AddTenantAsync(CancellationToken cancellationToken)
    {
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{Api.Port}") };
        var account = new { email = "other@bench.example", password = "another horse battery staple", tenantName = "Other" };
        using (var registered = await client.PostAsJsonAsync("/api/auth/register", account, cancellationToken))
            registered.EnsureSuccessStatusCode();
        var session = await PostAsync("/api/auth/login", new { account.email, account.password });
        client.DefaultRequestHeaders.Authorization = new("Bearer", (string)session["accessToken"]!);
        var key = await PostAsync("/api/keys", new { name = "bench" });
        OtherApi = Api with { Headers = [("Authorization", $"Bearer {(string)key["key"]!}")] };
        OtherTenant = Guid.Parse((await data.RowAsync(
            $"SELECT id FROM tenants WHERE id <> '{Tenant}' ORDER BY created_at DESC LIMIT 1", cancellationToken))[0]);

        async Task<JsonNode> PostAsync(string path, object body)
        {
            using var answer = await client.PostAsJsonAsync(path, body, cancellationToken);
            var text = await answer.Content.ReadAsStringAsync(cancellationToken);
            return answer.IsSuccessStatusCode
                ? JsonNode.Parse(text)!["data"]!
                : throw new InvalidOperationException($"{path}: {(int)answer.StatusCode}");
        }
    }

    public async Task<IReadOnlyList<ServerProcess>> StartWorkersAsync(
        int count, bool hints, int concurrency, TimeSpan service, CancellationToken cancellationToken)
    {
        List<(ServerProcess Process, int Port)> started = [];
        for (var i = 0; i < count; i++)
        {
            var port = ProxyServers.FreePort();
            started.Add((processes.Start($"worker-{i}", settings.Common.Binary("ValueCanvas.QueueBench"), ["worker"], new()
            {
                ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
                ["ConnectionStrings__valuecanvas"] = gateway.App,
                ["ConnectionStrings__cache"] = data.Redis,
                ["REDIS_ENABLED"] = hints ? "true" : "false",
                ["Worker__Concurrency"] = concurrency.ToString(CultureInfo.InvariantCulture),
                [BenchWorker.ServiceVariable] = service.TotalMilliseconds.ToString(CultureInfo.InvariantCulture),
                ["LOG_LEVEL"] = "Warning",
            }), port));
        }

        foreach (var (process, port) in started)
            await processes.ReadyAsync(process, port, "/ready", cancellationToken);
        return [.. started.Select(worker => worker.Process)];
    }

    public void Stop(IReadOnlyList<ServerProcess> workers)
    {
        foreach (var worker in workers)
            processes.Stop(worker);
    }

    /// <summary>As many jobs of each of these tenants that all begin to wait at the same moment.</summary>
    public Task SubmitAsync(int count, CancellationToken cancellationToken, params Guid[] tenants) => data.ExecuteAsync(
        $$"""
          INSERT INTO llm_jobs (id, tenant_id, type, args)
          SELECT {{IdAt("(extract(epoch FROM clock_timestamp()) * 1000)::bigint")}}, t.id, 'chat', '{{Args}}'
          FROM generate_series(1, {{count}}) AS i
          CROSS JOIN unnest('{ {{string.Join(", ", tenants)}} }'::uuid[]) AS t (id)
          CROSS JOIN LATERAL (SELECT md5(i || t.id::text || random()) AS hex) AS r
          """,
        cancellationToken);

    /// <summary>Waits until no job waits or runs.</summary>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        while (await data.CountAsync(
            """
            SELECT (EXISTS (SELECT FROM llm_jobs WHERE state IN ('queued', 'retryable'))
                    OR EXISTS (SELECT FROM llm_jobs WHERE state = 'running'))::int
            """,
            cancellationToken) > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
    }

    public async Task CancelWaitingAsync(CancellationToken cancellationToken)
    {
        await data.ExecuteAsync(
            """
            UPDATE llm_jobs SET state = 'cancelled', finished_at = clock_timestamp(), error_code = 'cancelled', error_message = 'Bench.'
            WHERE state IN ('queued', 'retryable')
            """,
            cancellationToken);
        await DrainAsync(cancellationToken);
    }

    /// <summary>PostgreSQL's time, as a literal.</summary>
    public async Task<string> NowAsync(CancellationToken cancellationToken) =>
        $"'{(await data.RowAsync("SELECT clock_timestamp()::text", cancellationToken))[0]}'::timestamptz";

    /// <summary>An answer of the Api to an operator.</summary>
    public async Task PutAsync(string path, object body, CancellationToken cancellationToken)
    {
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{Api.Port}") };
        client.DefaultRequestHeaders.Authorization = new("Bearer", GatewayServers.Key);
        using var answer = await client.PutAsJsonAsync(path, body, JsonSerializerOptions.Web, cancellationToken);
        answer.EnsureSuccessStatusCode();
    }
}
