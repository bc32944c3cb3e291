using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Core.Secrets;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Accounts.Tokens;

/// <summary>One instance's part that issues and checks tokens, on a real database, and rows for it to find.</summary>
internal sealed class TokenBench : IAsyncDisposable
{
    private readonly NpgsqlDataSource _dataSource;

    public TokenBench(
        string app, TimeProvider? time = null,
        string secret = "a-secret-of-tests-that-is-long-enough", int maxRemembered = 20_000)
    {
        time ??= TimeProvider.System;
        var options = Options.Create(new TokenOptions { MaxRemembered = maxRemembered });
        _dataSource = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(app) { Pooling = true });
        var box = new SecretBox(Options.Create(new SecretOptions { SecretKey = secret }));
        Keys = new SigningKeys(new SigningKeyStore(_dataSource, box, options, time, NullLogger<SigningKeyStore>.Instance), options, time);
        Tokens = new AccessTokens(Keys, _dataSource, options, time);
    }

    public SigningKeys Keys { get; }

    public AccessTokens Tokens { get; }

    public ValueTask<AccessToken?> ValidateAsync(string token) => Tokens.ValidateAsync(token, TestContext.Current.CancellationToken);

    public async Task<string> IssueAsync(Who who) =>
        (await Tokens.IssueAsync(who.User, who.Tenant, who.Session, TestContext.Current.CancellationToken)).Text;

    /// <summary>A token with any header and payload, by a key that is the instance's own unless another is given.</summary>
    public async Task<string> SignAsync(string header, string payload, SigningKey? key = null)
    {
        key ??= await Keys.CurrentAsync(TestContext.Current.CancellationToken);
        var input = $"{Base64Url.Encode(header.Replace("KID", key.Id, StringComparison.Ordinal))}.{Base64Url.Encode(payload)}";
        return $"{input}.{Base64Url.Encode(key.Sign(Encoding.ASCII.GetBytes(input)))}";
    }

    /// <summary>A user with a tenant and a session, as an operator would see them written.</summary>
    public static async Task<Who> SignInAsync(MigratedDatabase database, string role = "member")
    {
        var who = new Who(Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        await MigratedDatabase.ExecuteAsync(
            database.Admin,
            $"""
             INSERT INTO tenants (id, name) VALUES ('{who.Tenant}', 'T');
             INSERT INTO users (id, user_name, normalized_user_name, email, normalized_email)
             VALUES ('{who.User}', '{who.User}', '{who.User}', '{who.User}', '{who.User}');
             INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{who.Tenant}', '{who.User}', '{role}');
             INSERT INTO sessions (id, user_id, tenant_id, expires_at)
             VALUES ('{who.Session}', '{who.User}', '{who.Tenant}', now() + interval '1 day');
             """);
        return who;
    }

    public async ValueTask DisposeAsync()
    {
        Keys.Dispose();
        await _dataSource.DisposeAsync();
    }
}

internal sealed record Who(Guid User, Guid Tenant, Guid Session)
{
    public string Payload(long from, long until) =>
        $$"""
          {"iss":"valuecanvas","aud":"valuecanvas-api","sub":"{{User}}","tid":"{{Tenant}}","sid":"{{Session}}",
          "iat":{{from}},"nbf":{{from}},"exp":{{until}}}
          """;
}
