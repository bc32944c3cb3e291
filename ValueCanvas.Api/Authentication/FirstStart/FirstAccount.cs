using System.Security.Cryptography;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>The operator's account: made once, and never touched again.</summary>
internal sealed partial class FirstAccount(
    IOptions<FirstStartOptions> options, IOptions<PasswordHasherOptions> hashing, ILogger<FirstAccount> logger)
{
    // Without those that people confuse.
    private const string PasswordAlphabet = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789";
    private const int PasswordLength = 20;

    /// <returns>The user, where there was no operator, and the password, where one had to be made up.</returns>
    public async Task<(Guid? User, string? Password)> EnsureAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // 1. Who has an operator needs none.
        await using (var ask = new NpgsqlCommand("SELECT has_operator()", connection))
        {
            if (await ask.ExecuteScalarAsync(cancellationToken) is true)
                return (null, null);
        }

        // 2. The account. Had somebody registered with this address before, then the password is from now on the operator's.
        var madeUp = options.Value.Password is null;
        var password = options.Value.Password ?? RandomNumberGenerator.GetString(PasswordAlphabet, PasswordLength);
        var hash = new PasswordHasher<FirstAccount>(hashing).HashPassword(this, password);
        var user = await FindAsync(connection, cancellationToken) ?? Guid.NewGuid();
        await using (var make = new NpgsqlCommand(
            """
            SELECT set_config('app.user_id', @user::text, true);
            INSERT INTO users (id, user_name, normalized_user_name, email, normalized_email, email_confirmed, password_hash, security_stamp,
                               concurrency_stamp)
            VALUES (@user, @email, @normalized, @email, @normalized, true, @hash, @stamp, @stamp)
            ON CONFLICT (id) DO UPDATE SET password_hash = @hash, security_stamp = @stamp, email_confirmed = true;
            UPDATE sessions SET ended_at = clock_timestamp(), end_reason = 'password' WHERE user_id = @user AND ended_at IS NULL;

            -- 3. Whose tenant is the one that was there before accounts were.
            INSERT INTO memberships (tenant_id, user_id, role) VALUES (@tenant, @user, 'owner')
            ON CONFLICT (tenant_id, user_id) DO UPDATE SET role = 'owner';
            SELECT appoint_first_operator(@user, @madeUp);
            """,
            connection))
        {
            make.Parameters.AddWithValue("user", user);
            make.Parameters.AddWithValue("email", options.Value.Email);
            make.Parameters.AddWithValue("normalized", Normalize(options.Value.Email));
            make.Parameters.AddWithValue("hash", hash);
            make.Parameters.AddWithValue("stamp", Guid.NewGuid().ToString("N"));
            make.Parameters.AddWithValue("tenant", Tenants.Development);
            make.Parameters.AddWithValue("madeUp", madeUp);
            await make.ExecuteNonQueryAsync(cancellationToken);
        }

        Log.Made(logger, user);
        return (user, madeUp ? password : null);
    }

    /// <summary>The user with the configured address.</summary>
    public async Task<Guid?> FindAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var name = new NpgsqlCommand("SELECT set_config('app.sign_in', $1, true)", connection);
        name.Parameters.Add(new() { Value = Normalize(options.Value.Email) });
        await name.ExecuteNonQueryAsync(cancellationToken);
        await using var find = new NpgsqlCommand("SELECT id FROM users WHERE normalized_email = $1", connection);
        find.Parameters.Add(new() { Value = Normalize(options.Value.Email) });
        return await find.ExecuteScalarAsync(cancellationToken) as Guid?;
    }

    // As Identity does it.
    private static string Normalize(string email) => new UpperInvariantLookupNormalizer().NormalizeEmail(email);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "The operator's account is {User}")]
        public static partial void Made(ILogger logger, Guid user);
    }
}
