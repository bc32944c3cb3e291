using Microsoft.Extensions.Configuration;
using ValueCanvas.ServiceDefaults.Caching;

namespace ValueCanvas.Tests.Core.Caching;

public sealed class RedisVariablesTests
{
    [Theory]
    [InlineData("REDIS_HOST=cache.example", "cache.example:6379")]
    [InlineData("REDIS_HOST=cache.example REDIS_PORT=7000 REDIS_AUTH_TOKEN=secret REDIS_SSL=true",
        "cache.example:7000,password=secret,ssl=true")]
    [InlineData("REDIS_URL=redis://localhost:6379", "localhost:6379")]
    [InlineData("REDIS_URL=rediss://:p%40ss@cache.example", "cache.example:6379,password=p@ss,ssl=true")]
    [InlineData("REDIS_PORT=7000", null)]
    public void Variables_NameAServer_OrNone(string variables, string? expected) =>
        Assert.Equal(expected, RedisVariables.ConnectionString(Configuration(variables)));

    [Theory]
    [InlineData("REDIS_HOST=x REDIS_PORT=none", "REDIS_PORT")]
    [InlineData("REDIS_HOST=x REDIS_SSL=perhaps", "REDIS_SSL")]
    [InlineData("REDIS_URL=localhost", "REDIS_URL")]
    public void Variable_ThatMakesNoSense_IsNamed(string variables, string name)
    {
        var failure = Assert.Throws<InvalidOperationException>(() => RedisVariables.ConnectionString(Configuration(variables)));
        Assert.Contains(name, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AuthToken_ThatCannotBeUsed_IsNotRepeated()
    {
        var failure = Assert.Throws<InvalidOperationException>(
            () => RedisVariables.ConnectionString(Configuration("REDIS_HOST=x REDIS_AUTH_TOKEN=top,secret")));
        Assert.Contains("REDIS_AUTH_TOKEN", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("REDIS_ENABLED=true", true)]
    [InlineData("REDIS_ENABLED=false", false)]
    public void Enabled_UnlessSwitchedOff(string variables, bool expected) =>
        Assert.Equal(expected, RedisVariables.IsEnabled(Configuration(variables)));

    private static IConfigurationRoot Configuration(string variables) => new ConfigurationBuilder()
        .AddInMemoryCollection(variables.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(variable => variable.Split('=', 2))
            .Select(pair => KeyValuePair.Create(pair[0], (string?)pair[1])))
        .Build();
}
