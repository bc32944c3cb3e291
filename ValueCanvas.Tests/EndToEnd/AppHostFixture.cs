using System.ComponentModel;
using System.Diagnostics;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using ValueCanvas.Tests.EndToEnd;
using ValueCanvas.Tests.Infrastructure;

[assembly: AssemblyFixture(typeof(AppHostFixture))]

namespace ValueCanvas.Tests.EndToEnd;

/// <summary>
/// The whole system, as the AppHost describes it, with its dashboard where that can be had; started when the first test asks for it.
/// </summary>
public sealed class AppHostFixture : IAsyncLifetime
{
    /// <summary>The first key of the installation.</summary>
    public const string Key = "key-of-the-whole-system-0123456789";

    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(2);
    private readonly SemaphoreSlim _once = new(1, 1);
    private readonly List<string> _volumes = [];
    private DistributedApplication? _app;

    /// <summary>Where the dashboard is, if there is one.</summary>
    public Uri Dashboard { get; } = new($"http://localhost:{FreePort.Take()}");

    public async Task<DistributedApplication> StartedAsync()
    {
        await _once.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            return _app ??= await StartAsync();
        }
        finally
        {
            _once.Release();
        }
    }

    /// <summary>A client of the API, which bounds every request and sends the first key with it.</summary>
    public async Task<HttpClient> ApiAsync()
    {
        var app = await StartedAsync();
        var client = new HttpClient { BaseAddress = app.GetEndpoint("api", "http"), Timeout = TimeSpan.FromSeconds(60) };
        client.DefaultRequestHeaders.Authorization = new("Bearer", Key);
        return client;
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
            await _app.DisposeAsync();
        await RemoveVolumesAsync();
        _once.Dispose();
    }

    private async Task<DistributedApplication> StartAsync()
    {
        using var limit = new CancellationTokenSource(StartLimit);
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.ValueCanvas_AppHost>(
            [$"--VALUECANVAS_DASHBOARD_PORT={Dashboard.Port}", $"--VALUECANVAS_BOOTSTRAP_API_KEY={Key}"],
            (options, _) => options.DisableDashboard = false,
            limit.Token);

        // Volumes of their own: a test neither sees nor touches what a developer's run keeps.
        foreach (var resource in builder.Resources)
        {
            var mounts = resource.Annotations.OfType<ContainerMountAnnotation>().Where(m => m.Type == ContainerMountType.Volume);
            foreach (var mount in mounts.ToArray())
            {
                var volume = $"valuecanvas-tests-{Guid.NewGuid():N}";
                _volumes.Add(volume);
                resource.Annotations.Remove(mount);
                resource.Annotations.Add(new ContainerMountAnnotation(volume, mount.Target, mount.Type, mount.IsReadOnly));
            }
        }

        var app = await builder.BuildAsync(limit.Token);
        try
        {
            await app.StartAsync(limit.Token);
            foreach (var resource in (string[])["api", "worker"])
                await app.ResourceNotifications.WaitForResourceHealthyAsync(resource, limit.Token);
            return app;
        }
        catch
        {
            // The next test tries again, at the same port of the dashboard.
            await app.DisposeAsync();
            throw;
        }
    }

    /// <summary>A container engine keeps volumes until it is told; without an engine there are none.</summary>
    private async Task RemoveVolumesAsync()
    {
        foreach (var engine in (string[])["docker", "podman"])
        {
            try
            {
                using var process = Process.Start(new ProcessStartInfo(engine, ["volume", "rm", "--force", .. _volumes])
                {
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                });
                if (process is not null)
                    await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20));
            }
            catch (Win32Exception)
            {
                // Not installed.
            }
        }
    }
}

/// <summary>The tests of the whole system run one after another: some of them stop its parts.</summary>
[CollectionDefinition(nameof(EndToEnd))]
public sealed class EndToEnd;
