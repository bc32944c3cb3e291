using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>The operator's account: made once, and never touched again.</summary>
internal sealed partial class FirstAccount(IOptions<FirstStartOptions> options, PasswordHashing hashing, ILogger<FirstAccount> logger)
{
    // Without those that people confuse.
    private const string PasswordAlphabet = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789";
    private const int PasswordLength = 20;

    private readonly string _email = EmailAddress.Normalize(options.Value.Email);

    /// <summary>False where there is an operator already.</summary>
    public static async Task<bool> IsMissingAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var ask = new NpgsqlCommand("SELECT has_operator()", connection);
        return await ask.ExecuteScalarAsync(cancellationToken) is false;
    }

    /// <summary>The configured password, or one that is made up. It costs a processor a while: no transaction should wait for it.</summary>
    public async Task<FirstPassword> TakePasswordAsync(CancellationToken cancellationToken)
    {
        var text = options.Value.Password ?? RandomNumberGenerator.GetString(PasswordAlphabet, PasswordLength);
        return new(text, await hashing.HashAsync(text, cancellationToken), IsMadeUp: options.Value.Password is null);
    }

    /// <summary>
    /// Makes the account, within the transaction. Had somebody registered with its address before, then it is from now on the operator's,
    /// and neither their password nor their sessions nor their identities elsewhere open it any more.
    /// </summary>
    public async Task<Guid> MakeAsync(NpgsqlConnection connection, FirstPassword password, CancellationToken cancellationToken)
    {
        var user = await FindAsync(connection, cancellationToken) ?? Guid.NewGuid();
        await using var make = new NpgsqlCommand(
            """
            SELECT set_config('app.user_id', @user::text, true);
            INSERT INTO users (id, user_name, normalized_user_name, email, normalized_email, email_confirmed, password_hash, security_stamp,
                               concurrency_stamp)
            VALUES (@user, @email, @normalized, @email, @normalized, true, @hash, @stamp, @stamp)
            ON CONFLICT (id) DO UPDATE SET password_hash = @hash, security_stamp = @stamp, email_confirmed = true;
            UPDATE sessions SET ended_at = clock_timestamp(), end_reason = 'password' WHERE user_id = @user AND ended_at IS NULL;
            DELETE FROM user_logins WHERE user_id = @user;

            -- Its tenant is the one that was there before accounts were.
            INSERT INTO memberships (tenant_id, user_id, role) VALUES (@tenant, @user, 'owner')
            ON CONFLICT (tenant_id, user_id) DO UPDATE SET role = 'owner';
            SELECT appoint_first_operator(@user, @madeUp);
            """,
            connection);
        make.Parameters.AddWithValue("user", user);
        make.Parameters.AddWithValue("email", options.Value.Email);
        make.Parameters.AddWithValue("normalized", _email);
        make.Parameters.AddWithValue("hash", password.Hash);
        make.Parameters.AddWithValue("stamp", Guid.NewGuid().ToString("N"));
        make.Parameters.AddWithValue("tenant", Tenants.Development);
        make.Parameters.AddWithValue("madeUp", password.IsMadeUp);
        await make.ExecuteNonQueryAsync(cancellationToken);
        Log.Made(logger, user);
        return user;
    }

    /// <summary>The user with the configured address.</summary>
    public async Task<Guid?> FindAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        await AskAsync(connection, "SELECT id FROM users WHERE normalized_email = $1", cancellationToken) as Guid?;

    /// <summary>Whether the account's password is this one, by its hash, which no other has.</summary>
    public async Task<bool> HasAsync(NpgsqlConnection connection, FirstPassword password, CancellationToken cancellationToken) =>
        await AskAsync(connection, "SELECT password_hash FROM users WHERE normalized_email = $1",
            cancellationToken) as string == password.Hash;

    private async Task<object?> AskAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var name = new NpgsqlCommand("SELECT set_config('app.sign_in', $1, true)", connection);
        name.Parameters.Add(new() { Value = _email });
        await name.ExecuteNonQueryAsync(cancellationToken);
        await using var ask = new NpgsqlCommand(sql, connection);
        ask.Parameters.Add(new() { Value = _email });
        return await ask.ExecuteScalarAsync(cancellationToken);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "The operator's account is {User}")]
        public static partial void Made(ILogger logger, Guid user);
    }
}

/// <param name="Text">As it is typed.</param>
/// <param name="Hash">As it is stored.</param>
/// <param name="IsMadeUp">Nobody knows it yet: it is shown once, and must be changed at the first sign-in.</param>
internal sealed record FirstPassword(string Text, string Hash, bool IsMadeUp)
{
    /// <summary>Without the password: a record would print it.</summary>
    public override string ToString() => nameof(FirstPassword);
}
