using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

public static partial class ResourceBuilderExtensions
{
    internal const string ReferenceRelationship = "Reference";

    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithConnectionString> source, string? connectionName = null,
        bool optional = false)
        where TDestination : IResourceWithEnvironment
    {
        var resource = source.Resource;
        connectionName ??= resource.Name;
        builder.WithReferenceRelationship(resource);
        return builder.WithEnvironment(context =>
        {
            var variable = resource.ConnectionStringEnvironmentVariable ?? $"ConnectionStrings__{connectionName}";
            context.EnvironmentVariables[variable] = new ConnectionStringReference(resource, optional);

            var prefix = connectionName.Length == 0 ? "" : $"{VariableName(connectionName).ToUpperInvariant()}_";
            foreach (var (name, value) in resource.GetConnectionProperties())
                context.EnvironmentVariables[prefix + name.ToUpperInvariant()] = value;
        });
    }

    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithServiceDiscovery> source)
        where TDestination : IResourceWithEnvironment => builder.WithEndpoints(source.Resource, endpointName: null, name: null);

    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithServiceDiscovery> source, string name)
        where TDestination : IResourceWithEnvironment => builder.WithEndpoints(source.Resource, endpointName: null, name);

    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, EndpointReference endpointReference)
        where TDestination : IResourceWithEnvironment =>
        builder.WithEndpoints(endpointReference.Resource, endpointReference.EndpointName, name: null);

    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, string name, Uri uri)
        where TDestination : IResourceWithEnvironment =>
        uri is { IsAbsoluteUri: true, AbsolutePath: "/" }
            ? builder.WithEnvironment($"services__{name}__default__0", uri.ToString())
            : throw new InvalidOperationException($"The URI of service '{name}' must be absolute and have the path \"/\".");

    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<ExternalServiceResource> externalService)
        where TDestination : IResourceWithEnvironment
    {
        var service = externalService.Resource;
        var variable = VariableName(service.Name).ToUpperInvariant();
        builder.WithReferenceRelationship(service);
        if (service.Uri is { } known)
        {
            return builder
                .WithEnvironment(variable, known.ToString())
                .WithEnvironment($"services__{service.Name}__{known.Scheme}__0", known.ToString());
        }

        return builder.WithEnvironment(async context =>
        {
            if (context.ExecutionContext.IsPublishMode)
            {
                context.EnvironmentVariables[$"services__{service.Name}__default__0"] = service.UrlParameter!;
                context.EnvironmentVariables[variable] = service.UrlParameter!;
                return;
            }

            var uri = await service.GetUriAsync(context.CancellationToken).ConfigureAwait(false);
            context.EnvironmentVariables[$"services__{service.Name}__{uri.Scheme}__0"] = service.UrlParameter!;
            context.EnvironmentVariables[$"{variable}_{uri.Scheme.ToUpperInvariant()}"] = service.UrlParameter!;
        });
    }

    public static IResourceBuilder<T> WithRelationship<T>(this IResourceBuilder<T> builder, IResource resource, string type)
        where T : IResource => builder.WithAnnotation(new ResourceRelationshipAnnotation(resource, type));

    internal static IResourceBuilder<T> WithReferenceRelationship<T>(this IResourceBuilder<T> builder, IResource resource)
        where T : IResource => builder.WithRelationship(resource, ReferenceRelationship);

    // All references to one resource share one annotation and one callback, so that naming two endpoints numbers them together.
    private static IResourceBuilder<T> WithEndpoints<T>(
        this IResourceBuilder<T> builder, IResourceWithEndpoints source, string? endpointName, string? name)
        where T : IResourceWithEnvironment
    {
        var references = builder.Resource.Annotations.OfType<EndpointReferenceAnnotation>().FirstOrDefault(a => a.Resource == source);
        if (references is null)
        {
            references = new EndpointReferenceAnnotation(source);
            builder.WithAnnotation(references).WithEnvironment(context => AddEndpoints(context, references, name));
        }

        if (endpointName is null)
            references.UseAllEndpoints = true;
        else
            references.EndpointNames.Add(endpointName);

        return builder.WithReferenceRelationship(source);
    }

    private static void AddEndpoints(EnvironmentCallbackContext context, EndpointReferenceAnnotation references, string? name)
    {
        var serviceName = name ?? references.Resource.Name;
        var prefix = VariableName(name ?? references.Resource.Name.ToUpperInvariant());
        foreach (var endpoint in references.Resource.GetEndpoints())
        {
            if (!references.EndpointNames.Contains(endpoint.EndpointName)
                && (!references.UseAllEndpoints || endpoint.ExcludeReferenceEndpoint))
            {
                continue;
            }

            context.EnvironmentVariables[$"{prefix}_{VariableName(endpoint.EndpointName).ToUpperInvariant()}"] = endpoint;

            var key = endpoint.IsHttpSchemeNamedEndpoint ? endpoint.Scheme : endpoint.EndpointName;
            var index = 0;
            while (context.EnvironmentVariables.ContainsKey($"services__{serviceName}__{key}__{index}"))
                index++;
            context.EnvironmentVariables[$"services__{serviceName}__{key}__{index}"] = endpoint;
        }
    }

    private static string VariableName(string name)
    {
        var encoded = new string([.. name.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_')]);
        return encoded.Length > 0 && char.IsAsciiDigit(encoded[0]) ? "_" + encoded : encoded;
    }
}
