using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Tests.Client;

public sealed class NpgsqlDbContextTests
{
    private const string Connection = "Host=127.0.0.1;Port=1;Username=nobody;Password=x;Database=none;Timeout=1";
    private const string Section = "Aspire:Npgsql:EntityFrameworkCore:PostgreSQL";

    [Fact]
    public void AddNpgsqlDbContext_ByDefault_RetriesTransientFailuresAndChecksHealth()
    {
        var builder = Builder(("ConnectionStrings:db", Connection));
        builder.AddNpgsqlDbContext<Shelf>("db");

        Assert.True(Read(builder, shelf => shelf.Database.CreateExecutionStrategy().RetriesOnFailure));
        Assert.Contains(nameof(Shelf), HealthChecks(builder));
    }

    [Theory]
    [InlineData($"{Section}")]
    [InlineData($"{Section}:db")]
    [InlineData($"{Section}:Shelf")]
    public void AddNpgsqlDbContext_SettingsInConfiguration_AreFollowed(string section)
    {
        var builder = Builder(
            ($"{section}:ConnectionString", Connection), ($"{section}:DisableRetry", "true"),
            ($"{section}:CommandTimeout", "7"), ($"{section}:DisableHealthChecks", "true"));
        builder.AddNpgsqlDbContext<Shelf>("db");

        Assert.Equal(Connection, Read(builder, shelf => shelf.Database.GetConnectionString()));
        Assert.False(Read(builder, shelf => shelf.Database.CreateExecutionStrategy().RetriesOnFailure));
        Assert.Equal(7, Read(builder, shelf => shelf.Database.GetCommandTimeout()));
        Assert.DoesNotContain(nameof(Shelf), HealthChecks(builder));
    }

    [Fact]
    public void AddNpgsqlDbContext_ConnectionStringInBothPlaces_ConnectionStringsWins()
    {
        var builder = Builder(("ConnectionStrings:db", Connection), ($"{Section}:ConnectionString", "Host=elsewhere"));
        builder.AddNpgsqlDbContext<Shelf>("db");

        Assert.Equal(Connection, Read(builder, shelf => shelf.Database.GetConnectionString()));
    }

    [Fact]
    public void AddNpgsqlDbContext_NoConnectionString_FirstUseNamesTheKey()
    {
        var builder = Builder();
        builder.AddNpgsqlDbContext<Shelf>("db");

        var failure = Assert.Throws<InvalidOperationException>(() => Read(builder, shelf => shelf.Database.GetConnectionString()));

        Assert.Contains("ConnectionStrings:db", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddNpgsqlDbContext_ServerAway_HealthCheckSaysUnhealthy()
    {
        var builder = Builder(("ConnectionStrings:db", Connection));
        builder.AddNpgsqlDbContext<Shelf>("db", settings => settings.DisableRetry = true);
        await using var services = builder.Services.BuildServiceProvider();

        var report = await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(TestContext.Current.CancellationToken)
            .WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Equal(HealthStatus.Unhealthy, report.Entries[nameof(Shelf)].Status);
    }

    [Fact]
    public void AddNpgsqlDbContext_ContextAlreadyRegistered_SaysSoInDevelopment()
    {
        var builder = Builder(("ConnectionStrings:db", Connection));
        builder.Environment.EnvironmentName = Environments.Development;
        builder.AddNpgsqlDbContext<Shelf>("db");

        Assert.Throws<InvalidOperationException>(() => builder.AddNpgsqlDbContext<Shelf>("db"));
    }

    [Fact]
    public void EnrichNpgsqlDbContext_OwnRegistration_GainsRetriesTimeoutAndHealthCheck()
    {
        var builder = Builder();
        builder.Services.AddDbContextPool<Shelf>(options => options.UseNpgsql(Connection));
        builder.EnrichNpgsqlDbContext<Shelf>(settings => settings.CommandTimeout = 9);

        Assert.True(Read(builder, shelf => shelf.Database.CreateExecutionStrategy().RetriesOnFailure));
        Assert.Equal(9, Read(builder, shelf => shelf.Database.GetCommandTimeout()));
        Assert.Equal(Connection, Read(builder, shelf => shelf.Database.GetConnectionString()));
        Assert.Contains(nameof(Shelf), HealthChecks(builder));
    }

    [Fact]
    public void EnrichNpgsqlDbContext_NotRegistered_SaysWhatToCallFirst()
    {
        var failure = Assert.Throws<InvalidOperationException>(() => Builder().EnrichNpgsqlDbContext<Shelf>());

        Assert.Contains(nameof(Shelf), failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EnrichNpgsqlDbContext_RetriesAlreadyChosen_KeepsThem()
    {
        var builder = Builder();
        builder.Services.AddDbContextPool<Shelf>(options =>
            options.UseNpgsql(Connection, npgsql => npgsql.ExecutionStrategy(dependencies => new Twice(dependencies))));
        builder.EnrichNpgsqlDbContext<Shelf>();

        Assert.True(Read(builder, shelf => shelf.Database.CreateExecutionStrategy() is Twice));
    }

    [Fact]
    public void EnrichNpgsqlDbContext_ForeignStrategy_AsksToDisableRetry()
    {
        var builder = Builder();
        builder.Services.AddDbContextPool<Shelf>(options =>
            options.UseNpgsql(Connection, npgsql => npgsql.ExecutionStrategy(
                dependencies => new NonRetryingExecutionStrategy(dependencies))));
        builder.EnrichNpgsqlDbContext<Shelf>();

        var failure = Assert.Throws<InvalidOperationException>(() => Read(builder, shelf => shelf.Database.GetConnectionString()));

        Assert.Contains("DisableRetry", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void EnrichNpgsqlDbContext_TimeoutsContradict_SaysSo()
    {
        var builder = Builder();
        builder.Services.AddDbContextPool<Shelf>(options => options.UseNpgsql(Connection, npgsql => npgsql.CommandTimeout(3)));
        builder.EnrichNpgsqlDbContext<Shelf>(settings => settings.CommandTimeout = 9);

        var failure = Assert.Throws<InvalidOperationException>(() => Read(builder, shelf => shelf.Database.GetConnectionString()));

        Assert.Contains("CommandTimeout", failure.Message, StringComparison.Ordinal);
    }

    private static HostApplicationBuilder Builder(params (string Key, string Value)[] configuration)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(configuration.ToDictionary(entry => entry.Key, entry => (string?)entry.Value));
        builder.Services.AddLogging();
        return builder;
    }

    private static T Read<T>(HostApplicationBuilder builder, Func<Shelf, T> read)
    {
        using var services = builder.Services.BuildServiceProvider();
        using var scope = services.CreateScope();
        return read(scope.ServiceProvider.GetRequiredService<Shelf>());
    }

    private static string[] HealthChecks(HostApplicationBuilder builder)
    {
        using var services = builder.Services.BuildServiceProvider();
        return [.. services.GetService<IOptions<HealthCheckServiceOptions>>()?.Value.Registrations.Select(check => check.Name) ?? []];
    }

    public sealed class Shelf(DbContextOptions<Shelf> options) : DbContext(options);

    private sealed class Twice(ExecutionStrategyDependencies dependencies)
        : Npgsql.EntityFrameworkCore.PostgreSQL.NpgsqlRetryingExecutionStrategy(dependencies, maxRetryCount: 2);
}
