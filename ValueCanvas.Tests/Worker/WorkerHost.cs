using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.ServiceDefaults.Caching;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Worker.Execution;
using ValueCanvas.Worker.Maintenance;

namespace ValueCanvas.Tests.Worker;

/// <summary>A worker as Program.cs puts it together, with handlers of the test's own instead of model calls.</summary>
internal sealed class WorkerHost : IAsyncDisposable
{
    private readonly IHost _host;

    private WorkerHost(IHost host) => _host = host;

    public IServiceProvider Services => _host.Services;

    public static Task<WorkerHost> StartAsync(
        MigratedDatabase database,
        IJobHandler handler,
        string? redis = null,
        params (string Key, string Value)[] settings) =>
        StartAsync(database, builder => builder.Services.AddSingleton(handler), redis, settings);

    public static Task<WorkerHost> StartAsync(
        MigratedDatabase database,
        Action<IHostApplicationBuilder> configure,
        string? redis = null,
        params (string Key, string Value)[] settings) =>
        StartAsync(database.App, redis ?? database.Redis, configure, settings);

    public static async Task<WorkerHost> StartAsync(
        string database, string redis, Action<IHostApplicationBuilder> configure, (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "ValueCanvas.Tests" });
        builder.Configuration["ConnectionStrings:valuecanvas"] = database + ";Pooling=true";
        builder.Configuration["ConnectionStrings:cache"] = redis;
        builder.Configuration.AddInMemoryCollection(settings.Select(s => KeyValuePair.Create(s.Key, (string?)s.Value)));
        builder.Services.AddMetrics();
        builder.Services.AddLogging();
        builder.AddValueCanvasDatabase();
        builder.AddValueCanvasCache();
        builder.Services.AddJobQueue().AddJobExecution().AddJobMaintenance();
        configure(builder);

        var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        return new WorkerHost(host);
    }

    public async Task<Job> EnqueueAsync(string type, string args, NewJob job)
    {
        var submission = await Services.GetRequiredService<JobStore>().SubmitAsync(
            Tenants.Development, [job with { Type = type, Args = args }], null, null,
            TestContext.Current.CancellationToken);
        return Assert.IsType<Submission.Accepted>(submission).Jobs[0];
    }

    public Task<Job> EnqueueAsync(string type = TestHandler.TestType, string args = "{}") => Services.GetRequiredService<JobStore>()
        .EnqueueAsync(Tenants.Development, type, null, args, TestContext.Current.CancellationToken);

    /// <summary>The job, once it is in one of these states.</summary>
    public async Task<JobWithResult> UntilAsync(Guid id, params JobState[] states)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        var startedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            var found = await Services.GetRequiredService<JobStore>()
                .FindAsync(Tenants.Development, id, TestContext.Current.CancellationToken);
            if (states.Contains(found!.Job.State))
                return found;
            Assert.True(Stopwatch.GetElapsedTime(startedAt) < TimeSpan.FromSeconds(30), $"The job is still {found.Job.State}.");
            await timer.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    public Task StopAsync() => _host.StopAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync(CancellationToken.None);
        _host.Dispose();
    }
}

/// <summary>Does what the test says.</summary>
internal sealed class TestHandler(Func<Job, CancellationToken, Task<JobOutcome>> run) : IJobHandler
{
    public const string TestType = "test";

    public string Type => TestType;

    public Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken) => run(job, cancellationToken);
}
