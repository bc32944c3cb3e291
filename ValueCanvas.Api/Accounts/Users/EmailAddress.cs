using System.Buffers;
using Microsoft.AspNetCore.Identity;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.Accounts.Users;

/// <summary>E-mail addresses as names to sign in with: ASCII, so that no two that look the same are different.</summary>
internal static class EmailAddress
{
    private const int MaxLength = 254;
    private const int MaxLocalLength = 64;

    private static readonly SearchValues<char> Special = SearchValues.Create("()<>,;:\\\"[]");
    private static readonly UpperInvariantLookupNormalizer Normalizer = new();

    /// <summary>What is compared; the same as Identity's.</summary>
    public static string Normalize(string email) => Normalizer.NormalizeEmail(email);

    public static bool IsValid(string? email)
    {
        if (email is not { Length: >= 3 and <= MaxLength } || email.AsSpan().ContainsAnyExceptInRange('!', '~')
            || email.AsSpan().ContainsAny(Special))
        {
            return false;
        }

        var at = email.IndexOf('@', StringComparison.Ordinal);
        return at is > 0 and <= MaxLocalLength && at == email.LastIndexOf('@') && at < email.Length - 1
            && email[0] != '.' && email[^1] is not ('.' or '-') && email[at - 1] != '.' && email[at + 1] is not ('.' or '-')
            && !email.Contains("..", StringComparison.Ordinal);
    }

    public static void Validate(string field, string? email, RequestErrors errors)
    {
        if (email is null)
            errors.Add(field, "is required");
        else if (!IsValid(email))
            errors.Add(field, "must be an e-mail address such as ann@example.com; of other scripts its ASCII form");
    }
}
