using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Database.Migrations;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage;
using ValueCanvas.Core.Usage.Recording;
using ValueCanvas.ServiceDefaults.Caching;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Core.Usage;

/// <summary>What a service composes to call models and keep books of it.</summary>
internal sealed class UsageHost : IAsyncDisposable
{
    private readonly IHost _host;

    private UsageHost(IHost host) => _host = host;

    public IServiceProvider Services => _host.Services;

    public InferenceClient Client => Require<InferenceClient>();

    public static async Task<UsageHost> StartAsync(
        string database, string? directory = null, string? redis = null, string? inference = null, params (string Key,
            string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "ValueCanvas.Tests" });
        (string Key, string? Value)[] all =
        [
            ("ConnectionStrings:valuecanvas", new NpgsqlConnectionStringBuilder(database) { Pooling = true }.ConnectionString),
            ("ConnectionStrings:cache", redis), ("services:inference:http:0", inference ?? FakeInference.NowhereAddress()),
            // A busy machine is no database that is away.
            ("Database:ConnectTimeout", "00:00:15"), ("Database:CommandTimeout", "00:00:15"),
            ("REDIS_ENABLED", redis is null ? "false" : "true"), ("LOG_LEVEL", "none"),
            ("Usage:Directory", directory ?? NewDirectory()), ("Usage:ReplayInterval", "00:00:00.05"), ("Usage:FollowInterval",
                "00:00:00.05"),
            ("Usage:Prices:0:Model", "fake-model"), ("Usage:Prices:0:Input", "10"), ("Usage:Prices:0:Output", "100"),
            .. settings,
        ];
        builder.Configuration.AddInMemoryCollection(all.Select(setting => KeyValuePair.Create(setting.Key, setting.Value)));
        builder.AddServiceDefaults();
        builder.AddValueCanvasDatabase(interactive: true);
        builder.AddValueCanvasCache(required: false);
        builder.AddInference();
        builder.Services.AddUsage();
        var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        return new UsageHost(host);
    }

    public static string NewDirectory() => Path.Combine(Path.GetTempPath(), $"valuecanvas-tests-usage-{Guid.NewGuid():N}");

    public T Require<T>() where T : notnull => _host.Services.GetRequiredService<T>();

    public static UsageRow Row(Guid? tenant = null, decimal? cost = 0.5m, string cache = "bypass") => new()
    {
        Id = Guid.CreateVersion7(),
        TenantId = tenant ?? Tenants.Development,
        CreatedAt = TimeProvider.System.GetUtcNow(),
        Route = "/test",
        Model = "fake-model",
        Provider = "vllm",
        Status = "completed",
        Cache = cache,
        InputTokens = 10,
        CachedTokens = 4,
        OutputTokens = 5,
        ReasoningTokens = 1,
        UsageSource = "reported",
        Cost = cost,
    };

    /// <summary>The role that people and reports have.</summary>
    public static string AsOperator(string admin) => new NpgsqlConnectionStringBuilder(admin)
    {
        Username = DatabaseRoles.Operator, Password = ValueCanvas.Tests.Core.Database.MigratedDatabase.OperatorPassword, Pooling = false,
    }.ConnectionString;

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(CancellationToken.None);
        _host.Dispose();
    }
}
