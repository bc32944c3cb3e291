using System.Reflection;

namespace Aspire.Hosting.Testing;

/// <summary>An AppHost's entry point on its own thread: held at Build until the test builds, ended when the application is there.</summary>
internal sealed class EntryPointRun
{
    private readonly TaskCompletionSource<DistributedApplicationBuilder> _builder = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<DistributedApplication> _application = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<bool> _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<DistributedApplicationBuilder> Builder => _builder.Task;

    public static EntryPointRun Start(
        Assembly appHost, string[] args,
        Action<DistributedApplicationOptions, Microsoft.Extensions.Hosting.HostApplicationBuilderSettings> prepare)
    {
        var main = appHost.EntryPoint ?? throw new ArgumentException($"{appHost.GetName().Name} has no entry point.", nameof(appHost));
        var run = new EntryPointRun();
        var thread = new Thread(() => run.Run(appHost, main, args, prepare)) { IsBackground = true, Name = "AppHost entry point" };
        thread.Start();
        return run;
    }

    public Task<DistributedApplication> ContinueAsync()
    {
        _goOn.TrySetResult(true);
        return _application.Task;
    }

    public void Abandon() => _goOn.TrySetResult(false);

    private void Run(
        Assembly appHost, MethodInfo main, string[] args,
        Action<DistributedApplicationOptions, Microsoft.Extensions.Hosting.HostApplicationBuilderSettings> prepare)
    {
        ApplicationHook.Current = new ApplicationHook
        {
            EntryPoint = appHost,
            OnBuilderCreating = (options, settings) =>
            {
                options.Args ??= args;
                prepare(options, settings);
                settings.Args = options.Args;
            },
            OnBuilding = builder =>
            {
                _builder.TrySetResult(builder);
                if (!_goOn.Task.GetAwaiter().GetResult())
                    throw new EndOfRunException();
            },
            OnBuilt = application =>
            {
                _application.TrySetResult(application);
                throw new EndOfRunException();
            },
        };
        try
        {
            var result = main.Invoke(null, BindingFlags.DoNotWrapExceptions, null, main.GetParameters().Length == 0 ? [] : [args], null);
            (result as Task)?.GetAwaiter().GetResult();
            Fail(new InvalidOperationException($"The entry point of {appHost.GetName().Name} ended without building an application."));
        }
        catch (EndOfRunException)
        {
            _application.TrySetCanceled();
        }
        catch (Exception e)
        {
            Fail(e);
        }
    }

    private void Fail(Exception e)
    {
        _builder.TrySetException(e);
        _application.TrySetException(e);
    }

    /// <summary>Unwinds the entry point; the application is the test's from here on.</summary>
    private sealed class EndOfRunException : Exception;
}
