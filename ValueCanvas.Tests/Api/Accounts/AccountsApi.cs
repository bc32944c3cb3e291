using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.SignIn;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Accounts;

/// <summary>The Api and a database for one test class, with bounds that its own tests do not meet.</summary>
public sealed class AccountsFixture(ServersFixture servers) : IAsyncLifetime
{
    internal AccountsApi Api { get; private set; } = null!;

    public MigratedDatabase Database { get; } = new(servers);

    public async ValueTask InitializeAsync()
    {
        await Database.InitializeAsync();
        Api = new AccountsApi(Database.App, Database.Redis);
    }

    public async ValueTask DisposeAsync() => await Api.DisposeAsync();
}

/// <summary>The Api as people use it who have accounts.</summary>
internal sealed class AccountsApi(string database, string? cache, params (string Key, string Value)[] settings) : IAsyncDisposable
{
    public const string Password = "a quiet harbour at noon";

    private readonly ApiHost _host = new(
        database: database,
        cache: cache,
        settings:
        [
            ("Accounts:SignIn:MaxRegistrations", "100000"),
            ("Accounts:SignIn:MaxPerNetwork", "100000"),
            ("Accounts:SignIn:RedisTimeout", "00:00:10"), // a busy machine makes Redis late, and counts would be two
            ("Accounts:Passwords:MaxWait", "00:00:30"), // nor does it hash in time
            .. settings,
        ]);

    // No cookies of its own, no redirects: a test sees what the Api says.
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false })
    {
        Timeout = TimeSpan.FromSeconds(60),
    };

    public Uri Address => _host.Address;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static string NewEmail() => $"u{Guid.NewGuid():N}@example.com";

    public async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, object? body = null, string? bearer = null, string? cookie = null, string? network = null,
        string? host = null, string? csrf = null)
    {
        using var client = network is null ? null : From(network);
        using var request = new HttpRequestMessage(method, new Uri(_host.Address, path));
        request.Headers.Host = host;
        if (bearer is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        if (cookie is not null)
            request.Headers.TryAddWithoutValidation("Cookie", cookie);
        if (csrf is not null)
            request.Headers.Add("X-CSRF-Token", csrf);
        if (body is not null)
            request.Content = new StringContent(body as string ?? JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        return await (client ?? _client).SendAsync(request, Cancel);
    }

    public Task<HttpResponseMessage> PostAsync(string path, object body, string? bearer = null, string? network = null) =>
        SendAsync(HttpMethod.Post, path, body, bearer, network: network);

    public Task<HttpResponseMessage> GetAsync(string path, string? bearer = null) => SendAsync(HttpMethod.Get, path, bearer: bearer);

    /// <summary>Registers somebody new and signs in.</summary>
    public async Task<SignedIn> SignUpAsync(string? email = null)
    {
        email ??= NewEmail();
        using var registered = await PostAsync("/api/auth/register", new { email, password = Password });
        Assert.Equal(HttpStatusCode.Accepted, registered.StatusCode);
        return await SignInAsync(email);
    }

    /// <summary>
    /// Somebody new who is signed in, as it is after a sign-in by a provider: for tests that are not about passwords, whose hashes are what
    /// takes long.
    /// </summary>
    public async Task<SignedIn> EnterAsync()
    {
        var (registration, sessions, tokens) = (Service<Registration>(), Service<SessionStore>(), Service<AccessTokens>());
        var user = User.Create(Guid.NewGuid(), NewEmail(), displayName: null, passwordHash: null, emailConfirmed: false);
        var (made, session) = await registration.CreateAsync(
            user,
            tenantName: null,
            login: null,
            (work, owner, ct) => sessions.StartAsync(work, owner.UserId, owner.TenantId, new DefaultHttpContext(), ct),
            Cancel);
        Assert.NotNull(made);
        var access = await tokens.IssueAsync(session!.UserId, session.TenantId, session.Id, Cancel);
        return new(user.Email!, access.Text, session.RefreshToken, session.UserId, session.TenantId, session.Id);
    }

    public async Task<SignedIn> SignInAsync(string email, string password = Password, Guid? tenantId = null) =>
        Read(email, await DataAsync(await PostAsync("/api/auth/login", new { email, password, tenantId })));

    public async Task<SignedIn> RefreshAsync(SignedIn session, Guid? tenantId = null) =>
        Read(session.Email, await DataAsync(await PostAsync("/api/auth/refresh", new { refreshToken = session.Refresh, tenantId })));

    public static async Task<JsonElement> DataAsync(HttpResponseMessage response)
    {
        using (response)
        {
            var text = await response.Content.ReadAsStringAsync(Cancel);
            Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {text}");
            return JsonDocument.Parse(text).RootElement.GetProperty("data");
        }
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _host.DisposeAsync();
    }

    private static SignedIn Read(string email, JsonElement data) => new(
        email,
        data.GetProperty("accessToken").GetString()!,
        data.GetProperty("refreshToken").GetString()!,
        data.GetProperty("userId").GetGuid(),
        data.GetProperty("tenantId").GetGuid(),
        data.GetProperty("sessionId").GetGuid());

    private T Service<T>() where T : notnull => _host.Services.GetRequiredService<T>();

    // Every address of 127.0.0.0/8 is this machine.
    public static HttpClient From(string network) => new(new SocketsHttpHandler
    {
        UseCookies = false,
        ConnectCallback = async (context, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(network), 0));
            await socket.ConnectAsync(IPAddress.Loopback, context.DnsEndPoint.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    {
        Timeout = TimeSpan.FromSeconds(60),
    };
}

internal sealed record SignedIn(string Email, string Access, string Refresh, Guid User, Guid Tenant, Guid Session);
