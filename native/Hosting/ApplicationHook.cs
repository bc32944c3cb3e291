using System.Reflection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>Lets the testing builder take part in what an AppHost's entry point does on the same asynchronous flow.</summary>
internal sealed class ApplicationHook
{
    private static readonly AsyncLocal<ApplicationHook?> CurrentHook = new();

    public static ApplicationHook? Current
    {
        get => CurrentHook.Value;
        set => CurrentHook.Value = value;
    }

    public Assembly? EntryPoint { get; init; }

    public Action<DistributedApplicationOptions, HostApplicationBuilderSettings> OnBuilderCreating { get; init; } = (_, _) => { };

    public Action<DistributedApplicationBuilder> OnBuilderCreated { get; init; } = _ => { };

    /// <summary>May block, while the test changes the model.</summary>
    public Action<DistributedApplicationBuilder> OnBuilding { get; init; } = _ => { };

    /// <summary>May throw, to keep the entry point from running what the test runs.</summary>
    public Action<DistributedApplication> OnBuilt { get; init; } = _ => { };
}

/// <summary>Who runs the application.</summary>
internal sealed record RunMode(bool IsTest);
