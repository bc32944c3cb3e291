using System.Collections.Frozen;

namespace ValueCanvas.Api.Accounts.Passwords;

/// <summary>Words that passwords are most often made of, and how people vary them. The list is in <c>common-words.txt</c>.</summary>
internal static class CommonPasswords
{
    /// <summary>Along these people type without thinking.</summary>
    public static readonly string[] Rows =
    [
        "abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiopü", "azertyuiop", "yxcvbnm,.-",
        "!@#$%^&*()_+", "1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0",
        "qazwsxedcrfvtgbyhnujm", "147258369", "159357", "789456123",
    ];

    private static readonly Lazy<FrozenSet<string>> Words = new(Read);

    public static bool Contains(string word) => Words.Value.Contains(word);

    /// <summary>The letter that a digit or a sign stands for.</summary>
    public static char Letter(char c) => c switch
    {
        '0' => 'o',
        '1' or '!' or '|' => 'i',
        '3' => 'e',
        '4' or '@' => 'a',
        '5' or '$' => 's',
        '7' or '+' => 't',
        '8' => 'b',
        '9' => 'g',
        _ => c,
    };

    private static FrozenSet<string> Read()
    {
        using var stream = typeof(CommonPasswords).Assembly.GetManifestResourceStream("ValueCanvas.Accounts.common-words.txt")
            ?? throw new InvalidOperationException("The list of common passwords is missing from the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd()
            .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
            .SelectMany(word => new[] { word, string.Concat(word.Select(Letter)) })
            .ToFrozenSet(StringComparer.Ordinal);
    }
}
