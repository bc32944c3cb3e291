using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>
/// The signing keys in PostgreSQL, sealed. Instances agree on them by one lock; whoever comes first makes what is missing.
/// </summary>
internal sealed partial class SigningKeyStore(
    NpgsqlDataSource dataSource, SecretBox box, IOptions<TokenOptions> options, TimeProvider time, ILogger<SigningKeyStore> logger)
{
    private const string Purpose = "signing-key";

    // 'VCSIGKEY'.
    private const long AdvisoryLock = 0x56435349474B4559;

    private readonly TokenOptions _options = options.Value;

    /// <summary>All keys by which a token may still be verified, or soon; one of them signs now.</summary>
    public async Task<IReadOnlyList<SigningKey>> LoadAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        var keys = await ReadAsync(connection, cancellationToken);
        if (Missing(keys) is null)
            return keys;

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var takeLock = new NpgsqlCommand($"SELECT pg_advisory_xact_lock({AdvisoryLock})", connection))
            await takeLock.ExecuteNonQueryAsync(cancellationToken);
        // Another instance may have been first.
        keys = await ReadAsync(connection, cancellationToken);
        if (Missing(keys) is { } from)
        {
            var key = SigningKey.Create(from, from + _options.KeyLifetime);
            await InsertAsync(connection, key, cancellationToken);
            keys = [.. keys, key];
            Log.Created(logger, key.Id, key.ActiveFrom);
        }

        await transaction.CommitAsync(CancellationToken.None);
        return keys;
    }

    /// <summary>From when the next key has to sign, where there is none for that time yet.</summary>
    private DateTimeOffset? Missing(List<SigningKey> keys)
    {
        var now = time.GetUtcNow();
        var current = keys.Where(key => key.ActiveFrom <= now && key.ActiveUntil > now).MaxBy(key => key.ActiveUntil);
        if (current is null)
            return now;
        var next = keys.Any(key => key.ActiveUntil > current.ActiveUntil);
        return !next && current.ActiveUntil - now <= _options.KeyOverlap ? current.ActiveUntil : null;
    }

    private async Task<List<SigningKey>> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT id, sealed, active_from, active_until FROM signing_keys WHERE active_until > $1 ORDER BY active_from, id", connection)
        {
            Parameters = { new() { Value = time.GetUtcNow() - VerifiesFor } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var keys = new List<SigningKey>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var id = reader.GetString(0);
            try
            {
                keys.Add(SigningKey.Import(
                    id,
                    box.Open(Purpose, id, reader.GetFieldValue<byte[]>(1)),
                    reader.GetFieldValue<DateTimeOffset>(2),
                    reader.GetFieldValue<DateTimeOffset>(3)));
            }
            catch (CryptographicException)
            {
                // Sealed under another secret: tokens that it signed are worth nothing here.
                Log.Unreadable(logger, id);
            }
        }

        return keys;
    }

    private async Task InsertAsync(NpgsqlConnection connection, SigningKey key, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            WITH over AS (DELETE FROM signing_keys WHERE active_until <= $5)
            INSERT INTO signing_keys (id, sealed, active_from, active_until) VALUES ($1, $2, $3, $4)
            """,
            connection)
        {
            Parameters =
            {
                new() { Value = key.Id },
                new() { Value = box.Seal(Purpose, key.Id, key.Export()) },
                new() { Value = key.ActiveFrom },
                new() { Value = key.ActiveUntil },
                new() { Value = time.GetUtcNow() - VerifiesFor },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    // Until the last token that a key has signed is over, by any instance's clock.
    private TimeSpan VerifiesFor => _options.Lifetime + (2 * _options.ClockSkew);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Signing key {KeyId} made; it signs from {ActiveFrom:O}")]
        public static partial void Created(ILogger logger, string keyId, DateTimeOffset activeFrom);

        [LoggerMessage(LogLevel.Warning, "Signing key {KeyId} was sealed under another Accounts:SecretKey and is not used")]
        public static partial void Unreadable(ILogger logger, string keyId);
    }
}
