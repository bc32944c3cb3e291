using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Accounts.Passwords;

/// <summary>
/// Identity's PBKDF2, a few at a time: each costs a processor a tenth of a second, so whoever sends many sign-ins must not take them all.
/// </summary>
internal sealed class PasswordHashing : IDisposable
{
    private static readonly User Nobody = new();

    private readonly IPasswordHasher<User> _hasher;
    private readonly HashingOptions _options;
    private readonly SemaphoreSlim _turns;
    private readonly Lazy<string> _dummy;
    private int _waiting;

    public PasswordHashing(IPasswordHasher<User> hasher, IOptions<HashingOptions> options)
    {
        _hasher = hasher;
        _options = options.Value;
        _turns = new SemaphoreSlim(_options.MaxConcurrent > 0 ? _options.MaxConcurrent : Math.Max(1, Environment.ProcessorCount / 4));
        _dummy = new Lazy<string>(() => _hasher.HashPassword(Nobody, RandomNumberGenerator.GetHexString(32)));
    }

    /// <exception cref="RequestException">503: too many wait already.</exception>
    public Task<string> HashAsync(string password, CancellationToken cancellationToken) =>
        TakeTurnAsync(() => _hasher.HashPassword(Nobody, Normalize(password)), cancellationToken);

    /// <summary>Takes as long where there is no such user, or one without a password.</summary>
    /// <exception cref="RequestException">503: too many wait already.</exception>
    public Task<bool> VerifyAsync(string? hash, string password, CancellationToken cancellationToken) => TakeTurnAsync(
        () => _hasher.VerifyHashedPassword(Nobody, hash ?? _dummy.Value, Normalize(password)) != PasswordVerificationResult.Failed
            && hash is not null,
        cancellationToken);

    public void Dispose() => _turns.Dispose();

    // Keyboards and systems write the same letters in several ways.
    private static string Normalize(string password) => password.Normalize(NormalizationForm.FormKC);

    private async Task<T> TakeTurnAsync<T>(Func<T> work, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _waiting) > _options.MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            throw Busy();
        }

        try
        {
            if (!await _turns.WaitAsync(_options.MaxWait, cancellationToken))
                throw Busy();
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }

        try
        {
            return await Task.Run(work, CancellationToken.None);
        }
        finally
        {
            _turns.Release();
        }
    }

    private static RequestException Busy() =>
        new(StatusCodes.Status503ServiceUnavailable, "Too many people are signing in at this moment. Try again shortly.")
        {
            Code = "sign_in_busy",
            RetryAfter = TimeSpan.FromSeconds(2),
        };
}
