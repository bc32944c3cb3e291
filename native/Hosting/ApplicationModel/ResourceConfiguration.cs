using System.Globalization;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A resource's variables and arguments, as its callbacks give them: unresolved, for a run or for a manifest.</summary>
internal static class ResourceConfiguration
{
    public static async Task<Dictionary<string, object>> EnvironmentAsync(
        IResource resource, DistributedApplicationExecutionContext executionContext, CancellationToken cancellationToken)
    {
        var context = new EnvironmentCallbackContext(executionContext, resource, cancellationToken: cancellationToken);
        foreach (var annotation in resource.Annotations.OfType<EnvironmentCallbackAnnotation>().ToArray())
            await annotation.Callback(context).ConfigureAwait(false);

        return context.EnvironmentVariables;
    }

    public static async Task<IList<object>> ArgumentsAsync(
        IResource resource, DistributedApplicationExecutionContext executionContext, CancellationToken cancellationToken)
    {
        var context = new CommandLineArgsCallbackContext([], resource, cancellationToken) { ExecutionContext = executionContext };
        foreach (var annotation in resource.Annotations.OfType<CommandLineArgsCallbackAnnotation>().ToArray())
            await annotation.Callback(context).ConfigureAwait(false);

        return context.Args;
    }

    /// <summary>What a process gets to see.</summary>
    public static async Task<string?> ValueAsync(object? value, IResource caller, CancellationToken cancellationToken) => value switch
    {
        null => null,
        string text => text,
        IValueProvider provider => await provider.GetValueAsync(new ValueProviderContext { Caller = caller }, cancellationToken)
            .ConfigureAwait(false),
        IResourceBuilder<IResource> { Resource: var resource } => await ValueAsync(resource, caller, cancellationToken)
            .ConfigureAwait(false),
        bool or IFormattable => Convert.ToString(value, CultureInfo.InvariantCulture),
        _ => throw new DistributedApplicationException($"Resource '{caller.Name}' has a value of unsupported type {value.GetType().Name}."),
    };

    /// <summary>What the manifest shows.</summary>
    public static string? Expression(object? value, IResource caller) => value switch
    {
        null => null,
        string text => text,
        IManifestExpressionProvider provider => provider.ValueExpression,
        IResourceBuilder<IResource> { Resource: var resource } => Expression(resource, caller),
        bool or IFormattable => Convert.ToString(value, CultureInfo.InvariantCulture),
        _ => throw new DistributedApplicationException($"Resource '{caller.Name}' has a value of unsupported type {value.GetType().Name}."),
    };
}
