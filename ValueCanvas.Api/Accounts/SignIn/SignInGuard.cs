using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Errors;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>
/// Slows guessing down, and locks nobody out: waits grow per account and network, so who guesses elsewhere keeps no one from signing in at
/// home; a network may be wrong so often, whatever the account; and an account so often in an hour, from networks it does not know.
/// It counts the same for accounts that do not exist, so it tells nothing about them.
/// </summary>
internal sealed class SignInGuard(SecretBox box, RedisTries shared, LocalTries local, IOptions<GuardOptions> options)
{
    private static readonly TimeSpan NetworkWindow = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    private readonly byte[] _key = box.DeriveKey("sign-in-tries");
    private readonly GuardOptions _options = options.Value;

    /// <summary>To be called before a password is looked at: tries made at the same moment are counted one after the other.</summary>
    /// <param name="normalizedEmail">Whose password it is said to be.</param>
    /// <param name="network">Where it comes from.</param>
    /// <param name="isKnown">The account has been signed in from there before.</param>
    /// <exception cref="RequestException">429: to be tried again later.</exception>
    public async Task<Tries> BeginAsync(string normalizedEmail, byte[] network, bool isKnown)
    {
        var (account, from) = (Name(Encoding.UTF8.GetBytes(normalizedEmail)), Name(network));
        var tries = new Tries(
            $"pair:{account}:{from}",
            _options.FreeTries,
            _options.FirstDelay,
            _options.MaxDelay,
            [
                new($"network:{from}", _options.MaxPerNetwork, NetworkWindow),
                new($"account:{account}", _options.MaxPerAccount, Hour, Binds: !isKnown),
            ]);
        await CountAsync(tries);
        return tries;
    }

    /// <exception cref="RequestException">429: to be tried again later.</exception>
    public Task BeginRegistrationAsync(byte[] network)
    {
        var from = Name(network);
        return CountAsync(new Tries(
            $"registering:{from}", int.MaxValue, Hour, Hour, [new($"registrations:{from}", _options.MaxRegistrations, Hour)]));
    }

    /// <summary>The password was right: the try counts for nothing, and those before it are forgiven.</summary>
    public async Task SucceedAsync(Tries tries)
    {
        local.TakeBack(tries);
        await shared.TakeBackAsync(tries);
    }

    private async Task CountAsync(Tries tries)
    {
        var wait = await shared.BeginAsync(tries) ?? local.Begin(tries);
        if (wait > TimeSpan.Zero)
        {
            throw new RequestException(StatusCodes.Status429TooManyRequests, "Too many tries. Wait a while, and try again.")
            {
                Code = "too_many_tries",
                RetryAfter = wait,
            };
        }
    }

    private string Name(byte[] what) => Convert.ToHexStringLower(HMACSHA256.HashData(_key, what).AsSpan(0, 16));
}
