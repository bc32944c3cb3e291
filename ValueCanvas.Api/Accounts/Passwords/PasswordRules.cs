using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.Accounts.Passwords;

/// <summary>What a new password must be: long enough, and not among the first that anybody would try. No rules of composition.</summary>
internal static class PasswordRules
{
    public const int MinLength = 8;
    public const int AdvisedLength = 15;
    public const int MaxLength = 256;

    // Around a word that everybody tries, so many more characters make no difference.
    private const int Decoration = 5;

    public static void Validate(string field, string? password, string? email, RequestErrors errors)
    {
        if (password is null)
            errors.Add(field, "is required");
        else if (Problem(password, email) is { } problem)
            errors.Add(field, problem);
    }

    /// <summary>What is wrong with it, null where nothing is.</summary>
    public static string? Problem(string password, string? email)
    {
        var length = password.EnumerateRunes().Count();
        if (length < MinLength)
            return $"must have at least {MinLength} characters; {AdvisedLength} or more are better";
        if (length > MaxLength)
            return $"must have at most {MaxLength} characters";
        var plain = password.ToLowerInvariant();
        return IsRepetition(plain) || IsSequence(plain) || IsDate(plain) || IsKnown(plain, Words(email))
            ? $"is among the first that anybody would try; take {AdvisedLength} characters or more, several words for instance"
            : null;
    }

    // aaaaaaaa, abcabcabcabc, and the like.
    private static bool IsRepetition(string text)
    {
        for (var period = 1; period <= 4; period++)
        {
            if (Enumerable.Range(period, text.Length - period).All(i => text[i] == text[i - period]))
                return true;
        }

        return text.Distinct().Count() <= 2;
    }

    // Runs along the alphabet, the digits or the keyboard, one after another, and nothing else.
    private static bool IsSequence(string text)
    {
        var at = 0;
        while (at < text.Length)
        {
            var run = Run(text.AsSpan(at));
            if (run < 3)
                return false;
            at += run;
        }

        return true;
    }

    private static int Run(ReadOnlySpan<char> text)
    {
        var longest = 1;
        foreach (var row in CommonPasswords.Rows)
        {
            var from = row.IndexOf(text[0], StringComparison.Ordinal);
            for (var step = -1; from >= 0 && step <= 1; step++)
            {
                var run = 1;
                while (run < text.Length && from + (run * step) is >= 0 and var at && at < row.Length && row[at] == text[run])
                    run++;
                longest = Math.Max(longest, run);
            }
        }

        return longest;
    }

    // Six or eight digits with a year in them: birthdays.
    private static bool IsDate(string text)
    {
        var digits = string.Concat(text.Where(char.IsAsciiDigit));
        return digits.Length == 8 && text.Length <= 10 && text.All(c => char.IsAsciiDigit(c) || c is '.' or '-' or '/')
            && (digits.AsSpan(0, 2) is "19" or "20" || digits.AsSpan(4, 2) is "19" or "20");
    }

    // As it stands, and with the digits and signs that people put in the place of letters read as these.
    private static bool IsKnown(string text, HashSet<string> words) =>
        Cores(text).SelectMany(core => new[] { core, string.Concat(core.Select(CommonPasswords.Letter)) })
            .Any(core => CommonPasswords.Contains(core) || words.Contains(core));

    // What is left without a few characters around it, and once instead of twice.
    private static IEnumerable<string> Cores(string text)
    {
        for (var before = 0; before <= Decoration; before++)
        {
            for (var after = 0; before + after <= Decoration && before + after < text.Length; after++)
            {
                // Letters belong to the word, so only other characters are taken off.
                if (text.AsSpan(0, before).ContainsAnyInRange('a', 'z') || text.AsSpan(text.Length - after).ContainsAnyInRange('a', 'z'))
                    continue;
                var core = text[before..^after];
                yield return core;
                if (core.Length % 2 == 0 && core.AsSpan(0, core.Length / 2).SequenceEqual(core.AsSpan(core.Length / 2)))
                    yield return core[..(core.Length / 2)];
            }
        }
    }

    private static HashSet<string> Words(string? email)
    {
        if (!EmailAddress.IsValid(email))
            return [];
        var plain = email!.ToLowerInvariant();
        var parts = plain.Split('@', '.', '-', '_', '+').Concat(plain.Split('@', '.')).Append(plain.Split('@')[0]);
        return [plain, .. parts.Where(word => word.Length >= 4)];
    }
}
