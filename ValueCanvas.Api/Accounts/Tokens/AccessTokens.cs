using System.Buffers;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Npgsql;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>
/// Issues access tokens (RFC 9068, ES256) and tells which hold. A token is verified and its session looked up once; then it is known by its
/// hash until it expires, or until somebody says that what it grants has changed.
/// </summary>
internal sealed class AccessTokens(
    SigningKeys keys, NpgsqlDataSource dataSource, IOptions<TokenOptions> options, TimeProvider time)
{
    private const string Type = "at+jwt";

    private readonly TokenOptions _options = options.Value;
    private readonly RememberedTokens _remembered = new(options.Value.MaxRemembered);

    public async Task<IssuedToken> IssueAsync(Guid userId, Guid tenantId, Guid sessionId, CancellationToken cancellationToken)
    {
        var key = await keys.CurrentAsync(cancellationToken);
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        var header = Base64Url.Encode($$"""{"alg":"{{VerificationKey.Es256}}","typ":"{{Type}}","kid":"{{key.Id}}"}""");
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("iss", _options.Issuer);
            json.WriteString("aud", _options.Audience);
            json.WriteString("client_id", _options.Audience);
            json.WriteString("sub", userId);
            json.WriteString("tid", tenantId);
            json.WriteString("sid", sessionId);
            json.WriteNumber("iat", now);
            json.WriteNumber("nbf", now);
            json.WriteNumber("exp", now + (long)_options.Lifetime.TotalSeconds);
            json.WriteString("jti", Guid.NewGuid());
            json.WriteEndObject();
        }

        var input = $"{header}.{Base64Url.Encode(buffer.WrittenSpan)}";
        var signature = key.Sign(System.Text.Encoding.ASCII.GetBytes(input));
        return new IssuedToken($"{input}.{Base64Url.Encode(signature)}", _options.Lifetime);
    }

    /// <summary>Null for a token that must be looked up.</summary>
    public AccessToken? FindKnown(string text) => _remembered.Find(TokenHash.Of(text)) is { } known && Holds(known) ? known : null;

    /// <summary>Null for a token that does not hold, whatever is wrong with it.</summary>
    /// <exception cref="NpgsqlException">A token that is not known yet, and the database is away.</exception>
    public ValueTask<AccessToken?> ValidateAsync(string text, CancellationToken cancellationToken)
    {
        var hash = TokenHash.Of(text);
        if (_remembered.Find(hash) is not { } known)
            return LookUpAsync(text, hash, cancellationToken);
        return ValueTask.FromResult(Holds(known) ? known : null);
    }

    /// <summary>
    /// Forgets tokens: the next use looks again. To be called for everything that changed within a while longer than a look-up takes, so
    /// that one that was under way brings nothing back.
    /// </summary>
    public void Forget(Func<AccessToken, bool> which) => _remembered.Remove(which);

    private bool Holds(AccessToken token) => token.ExpiresAt + _options.ClockSkew > time.GetUtcNow();

    private async ValueTask<AccessToken?> LookUpAsync(string text, TokenHash hash, CancellationToken cancellationToken)
    {
        // 1. Is it ours?
        if (!CompactJws.TryParse(text, out var jws) || jws is not { Type: Type, KeyId: { } keyId }
            || await keys.FindAsync(keyId, cancellationToken) is not { } key || !key.Verify(jws))
        {
            return null;
        }

        // 2. Is it for us, and now?
        var now = time.GetUtcNow();
        var claims = new Claims(jws.Payload);
        if (claims.Text("iss") != _options.Issuer
            || claims.Text("aud") != _options.Audience
            || claims.Time("exp") is not { } expires || expires + _options.ClockSkew <= now
            || claims.Time("nbf") is not { } notBefore || notBefore - _options.ClockSkew > now
            || claims.Time("iat") is not { } issued || issued - _options.ClockSkew > now
            || claims.Id("sub") is not { } userId || claims.Id("tid") is not { } tenantId || claims.Id("sid") is not { } sessionId)
        {
            return null;
        }

        // 3. What does its session grant?
        await using var command = dataSource.CreateCommand(
            "SELECT role, is_operator, password_change_required FROM access_of_session($1, $2, $3)");
        command.Parameters.Add(new() { Value = sessionId });
        command.Parameters.Add(new() { Value = userId });
        command.Parameters.Add(new() { Value = tenantId });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return null;
        var token = new AccessToken(userId, tenantId, sessionId, Roles.Parse(reader.GetString(0)), reader.GetBoolean(1), expires)
        {
            MustChangePassword = reader.GetBoolean(2),
        };
        _remembered.Add(hash, token, now - _options.ClockSkew);
        return token;
    }
}
