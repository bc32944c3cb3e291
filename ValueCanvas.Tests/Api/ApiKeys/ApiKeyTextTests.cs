using System.Text;
using ValueCanvas.Api.ApiKeys;

namespace ValueCanvas.Tests.Api.ApiKeys;

public sealed class ApiKeyTextTests
{
    [Fact]
    public void Crc32_OfTheCheckString_IsTheStandardsValue() => Assert.Equal(0xCBF43926u, Crc32.Of("123456789"));

    [Theory]
    [InlineData("live")]
    [InlineData("test")]
    public void Create_IsWellFormed_AndTellsItsEnvironment(string environment)
    {
        var key = ApiKeyText.Create(environment);

        Assert.True(ApiKeyText.IsWellFormed(key));
        Assert.StartsWith($"vck_{environment}_", key, StringComparison.Ordinal);
        Assert.DoesNotContain(key[22..], ApiKeyText.PrefixOf(key), StringComparison.Ordinal);
        Assert.NotEqual(key, ApiKeyText.Create(environment));
    }

    [Fact]
    public void IsWellFormed_AnyOneCharacterChanged_IsFalse()
    {
        var key = ApiKeyText.Create("live");
        for (var i = 0; i < key.Length; i++)
        {
            foreach (var other in "aB3_-é ")
            {
                if (other == key[i])
                    continue;
                var changed = new StringBuilder(key) { [i] = other }.ToString();
                Assert.False(ApiKeyText.IsWellFormed(changed), changed);
            }
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("vck_")]
    [InlineData("vck_live_")]
    [InlineData("sk-0123456789012345678901234567890123456789")]
    public void IsWellFormed_SomethingElse_IsFalse(string text) => Assert.False(ApiKeyText.IsWellFormed(text));

    [Fact]
    public void IsWellFormed_ShorterOrLonger_IsFalse()
    {
        var key = ApiKeyText.Create("live");
        Assert.False(ApiKeyText.IsWellFormed(key.AsSpan(0, key.Length - 1)));
        Assert.False(ApiKeyText.IsWellFormed(key + "0"));
        Assert.False(ApiKeyText.IsWellFormed(" " + key));
    }
}
