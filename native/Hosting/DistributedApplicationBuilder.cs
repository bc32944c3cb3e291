using System.Reflection;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Orchestration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

public class DistributedApplicationBuilder : IDistributedApplicationBuilder
{
    private readonly HostApplicationBuilder _host;
    private readonly DistributedApplicationOptions _options;
    private readonly ApplicationHook? _hook;

    public DistributedApplicationBuilder(string[] args)
        : this(new DistributedApplicationOptions { Args = args })
    {
    }

    public DistributedApplicationBuilder(DistributedApplicationOptions options)
    {
        _options = options;
        _hook = ApplicationHook.Current;
        if (_hook is null)
            AppDomain.CurrentDomain.UnhandledException += ReportMistake;

        var settings = new HostApplicationBuilderSettings { Args = options.Args };
        _hook?.OnBuilderCreating(options, settings);

        AppHostAssembly = options.AssemblyName is { } name ? Assembly.Load(name) : _hook?.EntryPoint ?? Assembly.GetEntryAssembly();
        AppHostDirectory = options.ProjectDirectory ?? ProjectDirectoryOf(AppHostAssembly) ?? Directory.GetCurrentDirectory();
        settings.ApplicationName ??= AppHostAssembly?.GetName().Name;
        settings.ContentRootPath ??= AppHostDirectory;
        _host = new HostApplicationBuilder(settings);

        var operation = _host.Configuration["operation"] ?? _host.Configuration["AppHost:Operation"];
        var publisher = _host.Configuration["publisher"] ?? _host.Configuration["Publishing:Publisher"]
            ?? (string.Equals(operation, "publish", StringComparison.OrdinalIgnoreCase) ? "manifest" : null);
        if (publisher is not null and not "manifest")
        {
            throw new DistributedApplicationException(
                $"Publisher '{publisher}' is not supported in native mode; '--publisher manifest' is.");
        }

        ExecutionContext = new(publisher is null ? DistributedApplicationOperation.Run : DistributedApplicationOperation.Publish);
        if (ExecutionContext.IsRunMode)
        {
            var data = _hook is null ? DataDirectory.ForRun(AppHostDirectory) : DataDirectory.Throwaway();
            Services.AddSingleton(data);
            Services.AddSingleton(new ParameterStore(data.ParametersFile));
        }

        _hook?.OnBuilderCreated(this);
    }

    public ConfigurationManager Configuration => _host.Configuration;

    public string AppHostDirectory { get; }

    public Assembly? AppHostAssembly { get; }

    public IHostEnvironment Environment => _host.Environment;

    public IServiceCollection Services => _host.Services;

    public DistributedApplicationExecutionContext ExecutionContext { get; }

    public IResourceCollection Resources { get; } = new ResourceCollection();

    public IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource
    {
        Resources.Add(resource);
        return CreateResourceBuilder(resource);
    }

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource => new ResourceBuilder<T>(this, resource);

    public DistributedApplication Build()
    {
        _hook?.OnBuilding(this);
        Services.AddSingleton(_options);
        Services.AddSingleton(ExecutionContext);
        Services.AddSingleton(new DistributedApplicationModel(Resources));
        Services.AddSingleton(new RunMode(IsTest: _hook is not null));
        Services.AddSingleton(new ResourceNotificationService());
        if (ExecutionContext.IsRunMode)
            Services.AddSingleton<ApplicationOrchestrator>();
        Services.AddSingleton(services => new ResourceCommandService(services.GetRequiredService<ApplicationOrchestrator>()));

        var application = new DistributedApplication(_host.Build());
        _hook?.OnBuilt(application);
        return application;
    }

    // A mistake in the description of the application is its user's to mend: the message, not the stack.
    private static void ReportMistake(object sender, UnhandledExceptionEventArgs e)
    {
        if (e.ExceptionObject is not DistributedApplicationException mistake)
            return;
        Console.Error.WriteLine($"ERROR: {mistake.Message}");
        System.Environment.Exit(1);
    }

    private static string? ProjectDirectoryOf(Assembly? assembly) => assembly?.GetCustomAttributes<AssemblyMetadataAttribute>()
        .FirstOrDefault(a => a.Key == "AppHostProjectPath")?.Value;
}
