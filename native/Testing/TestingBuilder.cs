using System.Reflection;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Testing;

/// <summary>A builder of the test's own, or that of an AppHost whose entry point is held where it calls Build.</summary>
internal sealed class TestingBuilder : IDistributedApplicationTestingBuilder
{
    private readonly DistributedApplicationBuilder _inner;
    private readonly EntryPointRun? _entryPoint;
    private DistributedApplication? _application;

    private TestingBuilder(DistributedApplicationBuilder inner, EntryPointRun? entryPoint)
    {
        _inner = inner;
        _entryPoint = entryPoint;
    }

    public ConfigurationManager Configuration => _inner.Configuration;

    public string AppHostDirectory => _inner.AppHostDirectory;

    public Assembly? AppHostAssembly => _inner.AppHostAssembly;

    public IHostEnvironment Environment => _inner.Environment;

    public IServiceCollection Services => _inner.Services;

    public DistributedApplicationExecutionContext ExecutionContext => _inner.ExecutionContext;

    public IResourceCollection Resources => _inner.Resources;

    public static TestingBuilder Create(string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configure)
    {
        var before = ApplicationHook.Current;
        ApplicationHook.Current = new ApplicationHook { OnBuilderCreating = (options, settings) => Prepare(options, settings, configure) };
        try
        {
            return new TestingBuilder(new DistributedApplicationBuilder(args), entryPoint: null);
        }
        finally
        {
            ApplicationHook.Current = before;
        }
    }

    public static async Task<IDistributedApplicationTestingBuilder> CreateAsync(
        Assembly appHost, string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configure,
        CancellationToken cancellationToken)
    {
        var run = EntryPointRun.Start(appHost, args, (options, settings) => Prepare(options, settings, configure));
        return new TestingBuilder(await run.Builder.WaitAsync(cancellationToken).ConfigureAwait(false), run);
    }

    public IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource => _inner.AddResource(resource);

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource => _inner.CreateResourceBuilder(resource);

    public DistributedApplication Build() => BuildAsync().GetAwaiter().GetResult();

    public async Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default)
    {
        _application = _entryPoint is null
            ? _inner.Build()
            : await _entryPoint.ContinueAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        return _application;
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        _entryPoint?.Abandon();
        if (_application is not null)
            await _application.DisposeAsync().ConfigureAwait(false);
    }

    private static void Prepare(
        DistributedApplicationOptions options, HostApplicationBuilderSettings settings,
        Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configure)
    {
        options.DisableDashboard = true;
        settings.EnvironmentName = Environments.Development;
        configure(options, settings);
    }
}
