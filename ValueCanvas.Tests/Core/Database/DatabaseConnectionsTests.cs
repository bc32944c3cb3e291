using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting.Internal;
using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Tests.Core.Database;

/// <summary>What a host's connections are like where its connection string does not say.</summary>
public sealed class DatabaseConnectionsTests
{
    [Theory]
    [InlineData("Development", 10, 30)]
    [InlineData("Production", 20, 60)]
    public void Pool_ByDefault_HasTheSizeOfTheEnvironment(string environment, int kept, int most)
    {
        var settings = Read(environment, interactive: false);

        Assert.Equal((kept, most, 3600, 15), (settings.MinPoolSize, settings.MaxPoolSize, settings.ConnectionLifetime, settings.KeepAlive));
    }

    [Theory]
    [InlineData(true, 2, 2)]
    [InlineData(false, 5, 30)]
    public void Times_ByDefault_AreShortWherePeopleWait(bool interactive, int connect, int command)
    {
        var settings = Read("Production", interactive);

        Assert.Equal((connect, command), (settings.Timeout, settings.CommandTimeout));
    }

    [Fact]
    public void Settings_OfTheSection_AreTaken()
    {
        var settings = Read("Production", interactive: true, ("Database:PoolSize", "3"), ("Database:PoolOverflow", "4"),
            ("Database:ConnectTimeout", "00:00:07"), ("Database:CommandTimeout", "00:00:08.5"),
                ("Database:ConnectionLifetime", "00:10:00"));

        Assert.Equal((3, 7, 7, 9, 600), (
            settings.MinPoolSize, settings.MaxPoolSize, settings.Timeout, settings.CommandTimeout, settings.ConnectionLifetime));
    }

    [Fact]
    public void ConnectionString_Wins()
    {
        var settings = Read(
            "Production", interactive: false, ("ConnectionStrings:valuecanvas",
                "Host=h;Maximum Pool Size=4;Timeout=9;Connection Lifetime=60"));

        Assert.Equal((4, 4, 9, 60), (settings.MinPoolSize, settings.MaxPoolSize, settings.Timeout, settings.ConnectionLifetime));
    }

    [Theory]
    [InlineData("Database:PoolSize", "0")]
    [InlineData("Database:PoolOverflow", "-1")]
    [InlineData("Database:ConnectTimeout", "00:00:00")]
    [InlineData("Database:CommandTimeout", "2.00:00:00")]
    [InlineData("Database:SlowQuery", "-00:00:01")]
    public void Setting_WithoutSense_IsNamed(string key, string value)
    {
        var failure = Assert.Throws<InvalidOperationException>(() => Read("Production", interactive: false, (key, value)));

        Assert.Contains(key, failure.Message, StringComparison.Ordinal);
    }

    private static NpgsqlConnectionStringBuilder Read(string environment, bool interactive, params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationManager();
        configuration["ConnectionStrings:valuecanvas"] = "Host=h";
        foreach (var (key, value) in settings)
            configuration[key] = value;
        return new(DatabaseConnections.Read(
            configuration, new HostingEnvironment { EnvironmentName = environment, ApplicationName = "t" }, interactive)
            .ConnectionString);
    }
}
