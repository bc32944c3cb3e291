using System.Net;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Tests.Api.ApiKeys;

namespace ValueCanvas.Tests.Api.Isolation;

/// <summary>Every route of the Api that takes an id, with an id of another tenant's: it is not there.</summary>
public sealed class RouteIsolationTests(RouteIsolationTests.Fixture fixture) : IClassFixture<RouteIsolationTests.Fixture>
{
    /// <summary>Where each parameter's foreign value comes from: a table's row.</summary>
    private static readonly Dictionary<string, string> Tables = new()
    {
        ["/api/canvas/{id}"] = "canvases",
        ["/api/queue/jobs/{id}"] = "llm_jobs",
        ["/api/queue/jobs/{id}/cancel"] = "llm_jobs",
        ["/api/queue/jobs/{id}/retry"] = "llm_jobs",
        ["/api/queue/jobs/{id}/events"] = "llm_jobs",
        ["/api/queue/schedules/{id}"] = "llm_job_schedules",
        ["/api/queue/webhooks/{id}"] = "webhook_endpoints",
        ["/api/queue/webhooks/{id}/rotate"] = "webhook_endpoints",
        ["/api/queue/webhooks/{id}/test"] = "webhook_endpoints",
        ["/api/queue/webhooks/{id}/deliveries"] = "webhook_endpoints",
        ["/api/queue/webhooks/{id}/deliveries/{deliveryId}/redeliver"] = "webhook_deliveries",
        ["/api/keys/{id}"] = "api_keys",
        ["/api/keys/{id}/rotate"] = "api_keys",
        ["/api/auth/sessions/{id}"] = "sessions",
        ["/api/tenants/{tenantId}/members"] = "tenants",
        ["/api/tenants/{tenantId}/members/{userId}"] = "users",
        ["/api/tenants/{tenantId}/members/{userId}/password-reset"] = "users",
        ["/api/tenants/{tenantId}/invitations"] = "tenants",
        ["/api/tenants/{tenantId}/invitations/{id}"] = "invitations",
    };

    /// <summary>Parameters that are names, and mean the same or the caller's own to everybody.</summary>
    private static readonly string[] Names = ["/v1/models/{model}", "/api/provider-keys/{provider}", "/api/auth/oidc/", "/openapi/"];

    private static readonly Dictionary<string, string> Bodies = new()
    {
        ["PUT /api/queue/schedules/{id}"] =
            """{"name":"n","cron":"* * * * *","job":{"type":"chat","promptVariables":{"prompt":"x"}}}""",
        ["PUT /api/queue/webhooks/{id}"] = """{"url":"https://hooks.tests.example/"}""",
        ["PATCH /api/tenants/{tenantId}/members/{userId}"] = """{"role":"viewer"}""",
        ["POST /api/tenants/{tenantId}/invitations"] = """{"email":"somebody@tests.example","role":"viewer"}""",
    };

    private readonly IsolationDatabase _database = fixture.Database;
    private readonly ApiHost _api = fixture.Host;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EveryRouteWithAnId_OfAnotherTenant_Is404()
    {
        var mine = _api.ClientWith(await TokenAsync(_database.A));
        var theirs = _api.ClientWith(await TokenAsync(_database.B));
        var walked = 0;
        foreach (var (method, path) in Parameterized())
        {
            Assert.True(
                Tables.TryGetValue(path, out var table),
                $"{method} {path} has no case: say in {nameof(Tables)} whose rows it is about.");
            var foreign = Fill(path, _database.B, _database.B, table);
            await IsAsync(mine, method, path, foreign, HttpStatusCode.NotFound);

            // In one's own tenant as well, where the path names it.
            if (path.Contains("{tenantId}/", StringComparison.Ordinal) && table != "tenants")
                await IsAsync(mine, method, path, Fill(path, _database.A, _database.B, table), HttpStatusCode.NotFound);

            // To its owner it is there, else the walk would prove nothing.
            if (method == "GET")
            {
                using var own = await theirs.GetAsync(foreign, HttpCompletionOption.ResponseHeadersRead, Cancellation);
                Assert.True(own.StatusCode != HttpStatusCode.NotFound, $"GET {foreign} is not there for its owner");
            }

            walked++;
        }

        Assert.True(walked >= 5, $"{walked} routes");
    }

    [Fact]
    public async Task EveryRouteOfOperators_IsRefusedToATenantsOwner()
    {
        var owner = _api.ClientWith(await TokenAsync(_database.A));
        foreach (var endpoint in Endpoints().Where(endpoint => endpoint.Metadata.GetMetadata<Requirement.OfOperator>() is not null))
        {
            var path = endpoint.RoutePattern.RawText!.Replace("{", "", StringComparison.Ordinal).Replace("}", "", StringComparison.Ordinal);
            foreach (var method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods)
                await IsAsync(owner, method, path, path, HttpStatusCode.Forbidden);
        }
    }

    [Fact]
    public void EveryRoute_SaysWhatItNeeds()
    {
        string[] anyCaller = ["/openapi/{documentName}.json", "/api/auth/me", "/api/auth/csrf"];
        var silent = Endpoints()
            .Where(endpoint => endpoint.Metadata.GetMetadata<IAllowAnonymous>() is null
                && endpoint.Metadata.GetMetadata<Requirement>() is null)
            .Select(endpoint => endpoint.RoutePattern.RawText!)
            .Except(anyCaller);
        Assert.Empty(silent);
    }

    [Fact]
    public void RoutesForStrangers_AreThese()
    {
        string[] open =
        [
            "/.well-known/jwks.json",
            "/api/auth/login", "/api/auth/logout", "/api/auth/oidc", "/api/auth/oidc/{provider}", "/api/auth/oidc/{provider}/callback",
            "/api/auth/password/reset", "/api/auth/refresh", "/api/auth/register",
            "/api/health", "/api/health/live", "/api/health/ready", "/api/llm/health", "/health", "/health/live", "/health/ready", "/ready",
        ];
        var found = Endpoints()
            .Where(endpoint => endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            .Select(endpoint => "/" + endpoint.RoutePattern.RawText!.Trim('/'))
            .Distinct().Order(StringComparer.Ordinal);
        Assert.Equal(open, found);
    }

    [Fact]
    public async Task EveryOtherRoute_ToAStranger_Is401()
    {
        var stranger = _api.ClientWith(null);
        foreach (var endpoint in Endpoints().Where(endpoint => endpoint.Metadata.GetMetadata<IAllowAnonymous>() is null))
        {
            var path = endpoint.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal)
                .Replace("{", "", StringComparison.Ordinal).Replace("}", "", StringComparison.Ordinal);
            foreach (var method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"])
                await IsAsync(stranger, method, path, path, HttpStatusCode.Unauthorized);
        }
    }

    private IEnumerable<RouteEndpoint> Endpoints() =>
        _api.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>();

    private IEnumerable<(string Method, string Path)> Parameterized() =>
        from route in _api.Routes()
        where route.Path.Contains('{', StringComparison.Ordinal)
            && !Array.Exists(Names, name => route.Path.StartsWith(name, StringComparison.Ordinal))
        where !Endpoints().Any(endpoint => endpoint.Metadata.GetMetadata<Requirement.OfOperator>() is not null
            && "/" + endpoint.RoutePattern.RawText!.Trim('/') == route.Path)
        select route;

    private static string Fill(string path, IsolationDatabase.Owner tenant, IsolationDatabase.Owner row, string table) => path
        .Replace("{tenantId}", tenant.Tenant.ToString(), StringComparison.Ordinal)
        .Replace("{userId}", row.User.ToString(), StringComparison.Ordinal)
        .Replace("{deliveryId}", row.Rows["webhook_deliveries"].Literals["id"].Trim('\''), StringComparison.Ordinal)
        .Replace("{id}", row.Rows[table].Literals["id"].Trim('\''), StringComparison.Ordinal);

    private static async Task IsAsync(HttpClient client, string method, string route, string path, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (method is not ("GET" or "HEAD" or "DELETE"))
            request.Content = KeyDatabase.Json(Bodies.GetValueOrDefault($"{method} {route}", "{}"));
        using var response = await client.SendAsync(request, Cancellation);
        Assert.True(expected == response.StatusCode, $"{method} {path} is {(int)response.StatusCode}, not {(int)expected}");
    }

    private async Task<string> TokenAsync(IsolationDatabase.Owner owner)
    {
        var session = Guid.Parse(owner.Rows["sessions"].Literals["id"].Trim('\''));
        var token = await _api.Services.GetRequiredService<AccessTokens>().IssueAsync(owner.User, owner.Tenant, session, Cancellation);
        return token.Text;
    }

    /// <summary>One service and one database for all of them.</summary>
    public sealed class Fixture(Infrastructure.ServersFixture servers) : IAsyncLifetime
    {
        public IsolationDatabase Database { get; } = new(servers);

        internal ApiHost Host { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            Host = new ApiHost(database: Database.App);
        }

        public ValueTask DisposeAsync() => Host.DisposeAsync();
    }
}
