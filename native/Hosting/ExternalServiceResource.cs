using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>A service that runs elsewhere, known by its URL.</summary>
public sealed class ExternalServiceResource : Resource
{
    public ExternalServiceResource(string name, Uri uri)
        : base(name) => Uri = Checked(name, uri.ToString(), uri);

    public ExternalServiceResource(string name, ParameterResource urlParameter)
        : base(name) => UrlParameter = urlParameter;

    public Uri? Uri { get; }

    public ParameterResource? UrlParameter { get; }

    internal async ValueTask<Uri> GetUriAsync(CancellationToken cancellationToken)
    {
        if (Uri is not null)
            return Uri;

        var url = await UrlParameter!.GetValueAsync(cancellationToken).ConfigureAwait(false);
        return Checked(Name, url, Uri.TryCreate(url, UriKind.Absolute, out var uri) ? uri : null);
    }

    private static Uri Checked(string name, string? url, Uri? uri) =>
        uri is { IsAbsoluteUri: true, AbsolutePath: "/", Fragment: "" }
            ? uri
            : throw new DistributedApplicationException(
                $"The URL of external service '{name}' must be absolute, with path \"/\" and no fragment; it is '{url}'.");
}

public static class ExternalServiceBuilderExtensions
{
    public static IResourceBuilder<ExternalServiceResource> AddExternalService(
        this IDistributedApplicationBuilder builder, string name, string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri)
            ? builder.AddExternalService(name, uri)
            : throw new ArgumentException($"The URL '{url}' of external service '{name}' is not an absolute URL.", nameof(url));

    public static IResourceBuilder<ExternalServiceResource> AddExternalService(
        this IDistributedApplicationBuilder builder, string name, Uri uri) =>
        builder.AddResource(new ExternalServiceResource(name, uri));

    public static IResourceBuilder<ExternalServiceResource> AddExternalService(
        this IDistributedApplicationBuilder builder, string name, IResourceBuilder<ParameterResource> urlParameter) =>
        builder.AddResource(new ExternalServiceResource(name, urlParameter.Resource)).WithReferenceRelationship(urlParameter.Resource);

    public static IResourceBuilder<ExternalServiceResource> WithHttpHealthCheck(
        this IResourceBuilder<ExternalServiceResource> builder, string? path = null, int? statusCode = null)
    {
        var service = builder.Resource;
        return builder.WithAnnotation(new HealthProbeAnnotation(
            $"GET {service.Uri}{path?.TrimStart('/')}",
            async ct => await HttpProbe.CheckAsync(new Uri(await service.GetUriAsync(ct), path ?? "/"), statusCode ?? 200, ct)));
    }
}
