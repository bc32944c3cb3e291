using System.Text;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Api.Protection;

/// <summary>What no honest client sends gets a 4xx, never a 5xx, and stands in the audit log where it is a sign of an attack.</summary>
public sealed class HostileRequestTests(HostileRequestTests.Api api) : IClassFixture<HostileRequestTests.Api>
{
    [Theory]
    [InlineData("/api/canvas/%2e%2e/%2e%2e/etc/passwd", "path dots")]
    [InlineData("/api/../api/canvas", "path dots")]
    [InlineData("/api/./canvas", "path dots")]
    [InlineData("/api/canvas/..%2f..%2fetc%2fpasswd", "path slash")]
    [InlineData("/api%2fcanvas", "path slash")]
    [InlineData("/v1/models/..%2f..%2fadmin", "path dots")]
    [InlineData("/api/canvas/..%5c..%5cwindows", "path character")]
    [InlineData("/api/canvas/a\\b", "path character")]
    [InlineData("/api/canvas/%0d%0aX-Injected:%20yes", "path character")]
    [InlineData("/api/canvas/a%1fb", "path character")]
    [InlineData("/api/canvas/%c0%ae%c0%ae/x", "path encoding")]
    [InlineData("/api/canvas/%ff", "path encoding")]
    [InlineData("/api/canvas/%zz", "path escape")]
    [InlineData("/api/canvas/%", "path escape")]
    public async Task Path_ThatMeansTwoThings_Is400AndAudited(string path, string reason)
    {
        var answer = await api.SendAsync($"GET {path} HTTP/1.1\nHost: x\nConnection: close\n\n");

        Assert.Equal(400, RawHttp.Status(answer));
        Assert.DoesNotContain("X-Injected", Head(answer), StringComparison.Ordinal);
        await api.AuditedAsync("request.refused", reason);
    }

    [Theory]
    [InlineData("Authorization: Bearer a\nAuthorization: Bearer b\n\n", "header twice")]
    [InlineData("Content-Type: application/json\nContent-Type: text/plain\nContent-Length: 2\n\n{}", "header twice")]
    [InlineData("Content-Length: 4\nTransfer-Encoding: chunked\n\n0\n\n", "length and chunks")]
    public async Task Headers_ThatContradictEachOther_Are400AndAudited(string rest, string reason)
    {
        var answer = await api.SendAsync($"POST /api/llm/chat HTTP/1.1\nHost: x\nConnection: close\n{rest}");

        Assert.Equal(400, RawHttp.Status(answer));
        Assert.Contains("application/problem+json", Head(answer), StringComparison.Ordinal);
        await api.AuditedAsync("request.refused", reason);
    }

    [Theory]
    [InlineData("TRACE /api/canvas HTTP/1.1\nHost: x\n")]
    [InlineData("TRACE / HTTP/1.1\nHost: x\nCookie: secret=1\n")]
    [InlineData("TRACK /api/canvas HTTP/1.1\nHost: x\n")]
    public async Task Method_ThatEchoes_Is405AndEchoesNothing(string head)
    {
        var answer = await api.SendAsync($"{head}Connection: close\n\n");

        Assert.Equal(405, RawHttp.Status(answer));
        Assert.DoesNotContain("secret=1", answer, StringComparison.Ordinal);
        Assert.Contains("Allow: GET", answer, StringComparison.Ordinal);
        await api.AuditedAsync("request.refused", "method");
    }

    [Theory]
    [InlineData("GET /api/canvas/%00 HTTP/1.1\nHost: x\n\n")]
    [InlineData("GET /api/canvas HTTP/1.1\nHost: x\nX-A: b\0c\n\n")]
    [InlineData("GET /api/canvas HTTP/1.1\nHost: x\nX-Folded: a\n b\n\n")]
    [InlineData("GET /api/canvas HTTP/1.1\nHost : x\n\n")]
    [InlineData("GET /api/canvas HTTP/1.1\nHost: x\nHost: y\n\n")]
    [InlineData("GET /api/canvas HTTP/1.1\n\n")]
    [InlineData("GET /api/canvas HTTP/1.1\nHost: x y\n\n")]
    [InlineData("POST /api/llm/chat HTTP/1.1\nHost: x\nContent-Length: 5\nContent-Length: 6\n\n{}")]
    [InlineData("POST /api/llm/chat HTTP/1.1\nHost: x\nContent-Length: -1\n\n")]
    [InlineData("POST /api/llm/chat HTTP/1.1\nHost: x\nContent-Length: 99999999999999999999\n\n")]
    [InlineData("POST /api/llm/chat HTTP/1.1\nHost: x\nTransfer-Encoding: xchunked\n\n0\n\n")]
    [InlineData("POST /api/llm/chat HTTP/1.1\nHost: x\nTransfer-Encoding: chunked, identity\n\n0\n\n")]
    [InlineData("GET /api/canvas HTTP/9.9\nHost: x\n\n")]
    [InlineData("\u0016\u0003\u0001\u0002\n\n")]
    public async Task Head_ThatMakesNoSense_Is4xxAndAudited(string request)
    {
        var before = await api.CountAsync("request.malformed");

        var answer = await api.SendAsync(request);

        Assert.InRange(RawHttp.Status(answer), 400, 505);
        Assert.True(RawHttp.Status(answer) is < 500 or 505, answer);
        await ProxyHost.UntilAsync(async () => await api.CountAsync("request.malformed") > before);
    }

    [Fact]
    public async Task Url_TooLong_Is414() =>
        Assert.Equal(414, RawHttp.Status(await api.SendAsync($"GET /api/canvas?a={new string('x', 9_000)} HTTP/1.1\nHost: x\n\n")));

    [Fact]
    public async Task Headers_TooLarge_Are431() =>
        Assert.Equal(431, RawHttp.Status(await api.SendAsync($"GET /api/canvas HTTP/1.1\nHost: x\nX: {new string('x', 40_000)}\n\n")));

    [Fact]
    public async Task Headers_TooMany_Are431()
    {
        var many = string.Concat(Enumerable.Range(0, 150).Select(i => $"X-{i}: 1\n"));

        Assert.Equal(431, RawHttp.Status(await api.SendAsync($"GET /api/canvas HTTP/1.1\nHost: x\n{many}\n")));
    }

    [Fact]
    public async Task Body_LargerThanAnyRouteTakes_Is413AndAudited()
    {
        var answer = await api.SendAsync(
            $"POST /v1/chat/completions HTTP/1.1\nHost: x\nConnection: close\n{api.Key}Content-Length: 104857600\n\n{{");

        Assert.Equal(413, RawHttp.Status(answer));
        await api.AuditedAsync("request.refused", "too large");
    }

    [Theory]
    [InlineData("limit=99999999999999999999999999999999")]
    [InlineData("limit=1e9")]
    [InlineData("limit=-0")]
    [InlineData("cursor=%ff%fe")]
    [InlineData("cursor=' OR 1=1 --")]
    [InlineData("limit=1&limit=2")]
    public async Task Query_WithNonsense_Is400(string query)
    {
        var answer = await api.SendAsync(
            $"GET /api/canvas?{query.Replace(" ", "%20", StringComparison.Ordinal)} HTTP/1.1\nHost: x\nConnection: close\n{api.Key}\n");

        Assert.Equal(400, RawHttp.Status(answer));
    }

    [Theory]
    [InlineData("""{"prompt":"a","maxTokens":1e400}""")]
    [InlineData("""{"prompt":"a","temperature":NaN}""")]
    [InlineData("""{"prompt":"a","maxTokens":-9223372036854775809}""")]
    [InlineData("""{"prompt":"a","userId":{"$ne":null}}""")]
    [InlineData("""{"__proto__":{"x":1}}""")]
    public async Task Body_WithNonsense_Is400(string json)
    {
        var answer = await api.SendAsync(
            $"POST /api/llm/chat HTTP/1.1\nHost: x\nConnection: close\n{api.Key}"
            + $"Content-Length: {Encoding.UTF8.GetByteCount(json)}\n\n{json}");

        Assert.Equal(400, RawHttp.Status(answer));
    }

    [Theory]
    [InlineData("/api/llm/chat", "{\"prompt\":")]
    [InlineData("/api/keys", "[[[[")]
    [InlineData("/api/auth/login", "{\"email\":\"a@b.example\",\"password\":\"\\ud800\"}")]
    [InlineData("/api/auth/register", "{\"email\":\"a@b.example\",\"password\":\"a quiet harbour at noon\",\"isOperator\":true}")]
    public async Task Body_ThatIsNotWhatTheRouteTakes_Is400AndAudited(string path, string json)
    {
        var before = await api.CountAsync("request.refused", "body");

        var answer = await api.SendAsync(
            $"POST {path} HTTP/1.1\nHost: x\nConnection: close\n{api.Key}Content-Length: {Encoding.UTF8.GetByteCount(json)}\n\n{json}");

        Assert.Equal(400, RawHttp.Status(answer));
        await ProxyHost.UntilAsync(async () => await api.CountAsync("request.refused", "body") > before);
    }

    [Fact]
    public async Task Model_WithAnEscapedSlash_IsStillFound()
    {
        // The proxy is away in this test: 503 says that the request would have been passed on.
        var answer = await api.SendAsync($"GET /v1/models/meta-llama%2FLlama-3 HTTP/1.1\nHost: x\nConnection: close\n{api.Key}\n");

        Assert.Equal(503, RawHttp.Status(answer));
    }

    private static string Head(string answer) => answer.Split("\r\n\r\n")[0];

    /// <summary>One service and one database for all of them; its log takes all that they do.</summary>
    public sealed class Api(ServersFixture servers) : IAsyncLifetime
    {
        private readonly MigratedDatabase _database = new(servers);
        private ApiHost? _api;

        /// <summary>The header of a good caller.</summary>
        public string Key => _api!.Client.DefaultRequestHeaders.Authorization is { } key ? $"Authorization: {key}\n" : "";

        public async ValueTask InitializeAsync()
        {
            await _database.InitializeAsync();
            _api = new ApiHost(
                database: _database.App, cache: _database.Redis,
                settings: [("Audit:MaxRefusalsPerMinute", "1000"), ("Audit:MaxRefusalsPerSource", "1000")]);
        }

        public async ValueTask DisposeAsync()
        {
            await _api!.DisposeAsync();
            await _database.DisposeAsync();
        }

        internal Task<string> SendAsync(string request) => RawHttp.SendAsync(_api!.Address, request);

        internal Task<long> CountAsync(string @event) =>
            _database.ScalarAsync<long>($"SELECT count(*) FROM audit_log WHERE event = '{@event}' AND outcome = 'denied'");

        internal Task<long> CountAsync(string @event, string reason) => _database.ScalarAsync<long>(
            $"SELECT count(*) FROM audit_log WHERE event = '{@event}' AND outcome = 'denied' AND details ->> 'reason' = '{reason}'");

        internal Task AuditedAsync(string @event, string reason) => ProxyHost.UntilAsync(async () => await CountAsync(@event, reason) > 0);
    }
}
