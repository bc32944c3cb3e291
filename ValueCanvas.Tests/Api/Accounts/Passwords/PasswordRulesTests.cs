using ValueCanvas.Api.Accounts.Passwords;

namespace ValueCanvas.Tests.Api.Accounts.Passwords;

public sealed class PasswordRulesTests
{
    [Theory]
    [InlineData("password")]
    [InlineData("Password1!")]
    [InlineData("P@ssw0rd2024")]
    [InlineData("passwordpassword")]
    [InlineData("qwertyuiop")]
    [InlineData("qwerty123")]
    [InlineData("1qaz2wsx")]
    [InlineData("1q2w3e4r")]
    [InlineData("asdfghjkl")]
    [InlineData("12345678")]
    [InlineData("1234567890")]
    [InlineData("87654321")]
    [InlineData("11111111")]
    [InlineData("abababab")]
    [InlineData("abcabcabc")]
    [InlineData("abcdefgh1234")]
    [InlineData("iloveyou")]
    [InlineData("Welcome2026")]
    [InlineData("letmein!!")]
    [InlineData("Summer2025!")]
    [InlineData("football1")]
    [InlineData("superman")]
    [InlineData("!!sunshine!!")]
    [InlineData("23051987")]
    [InlineData("1987-05-23")]
    [InlineData("valuecanvas1")]
    [InlineData("Tr1n1ty1")]
    [InlineData("annabelle.moore")]
    [InlineData("annabelle99")]
    [InlineData("northwind-trading1")]
    public void Problem_AmongTheFirstThatAnybodyTries_IsRefused(string password) =>
        Assert.Contains(
            "first that anybody would try",
            PasswordRules.Problem(password, "annabelle.moore@northwind-trading.example"),
            StringComparison.Ordinal);

    [Theory]
    [InlineData("a quiet harbour at noon")]
    [InlineData("correct horse battery staple")]
    [InlineData("gG7#kd92")]
    [InlineData("xkqvbzjw")]
    [InlineData("ÄnderungsmeldungHeute")]
    [InlineData("密码很长而且没有人会猜到")]
    [InlineData("mywifepassword keeps a garden")]
    [InlineData("        eight spaces first")]
    [InlineData("83910274658120")]
    public void Problem_HardToGuess_IsTaken(string password) =>
        Assert.Null(PasswordRules.Problem(password, "annabelle.moore@northwind.example"));

    [Theory]
    [InlineData(7, false)]
    [InlineData(8, true)]
    [InlineData(64, true)]
    [InlineData(256, true)]
    [InlineData(257, false)]
    public void Problem_Length_IsCountedInCharactersNotInUnits(int length, bool fits)
    {
        var runes = Enumerable.Range(0, length).Select(i => char.ConvertFromUtf32(0x1F300 + (i * 37 % 300)));

        Assert.Equal(fits, PasswordRules.Problem(string.Concat(runes), null) is null);
    }
}
