using System.Net;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Providers;

internal static class ProviderEndpoints
{
    public static IServiceCollection AddProviders(this IServiceCollection services)
    {
        // Bound without a change token: a reload that makes no sense must be refused by the fleet, not thrown at the one who reloads.
        services.AddOptions<InferenceOptions>()
            .Configure<IConfiguration>((options, configuration) =>
            {
                var section = configuration.GetSection(InferenceOptions.Section);
                section.Bind(options);
                options.Models = ModelOptions.Read(section.GetSection(nameof(options.Models)));
            })
            .ValidateOnStart();
        services.AddSingleton<IPostConfigureOptions<InferenceOptions>, ProviderDefaults>();
        services.AddSingleton<IValidateOptions<InferenceOptions>, InferenceOptionsValidator>();
        services.AddSingleton<Fleet>();
        services.AddSingleton<UpstreamClient>();
        services.AddSingleton<ReplicaProbe>();
        services.AddSingleton<HostResolver>(_ => Dns.GetHostAddressesAsync);
        services.AddHostedService<HostMonitor>();
        services.AddHostedService<ReplicaMonitor>();
        services.AddHealthChecks().AddCheck<FleetHealthCheck>("vllm");
        return services;
    }

    /// <summary><c>GET /providers</c>: what the proxy knows of each replica. <c>GET /v1/models</c>: what they serve, as OpenAI lists
    /// it.</summary>
    public static IEndpointRouteBuilder MapProviderEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/providers", (Fleet fleet) =>
            TypedResults.Json(Describe(fleet.Current), ProviderJsonContext.Default.ProviderList));
        endpoints.MapGet("/v1/models", (Fleet fleet) =>
            TypedResults.Json(new ModelList("list", Models(fleet.Current)), ProviderJsonContext.Default.ModelList));
        // A model's name may hold slashes, which clients send escaped and routing leaves so.
        endpoints.MapGet("/v1/models/{**model}", (string? model, Fleet fleet, HttpContext context) =>
            OneAsync(model?.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase) ?? "", fleet.Current, context));
        return endpoints;
    }

    private static ProviderList Describe(Topology topology) => new(
    [
        .. topology.Replicas.GroupBy(r => r.Upstream).Select(provider => new ProviderView(provider.Key.Name, provider.Key.Kind.Name,
            [.. provider.Key.Credentials.All.Select(Describe)],
        [
            .. provider.Select(replica =>
            {
                var state = replica.State;
                return new ReplicaView(
                    replica.Name, replica.Address.OriginalString, Name(state.Status), replica.Load.Draining, replica.InFlight,
                    [.. state.Models.Keys.Order(StringComparer.Ordinal)], state.LastError, state.LastChange,
                    [.. replica.Breakers.All.Select(breaker => breaker.View(topology.Options.Breaker))]);
            }),
        ])),
    ]);

    private static CredentialView Describe(Credential credential) => credential.Disabled is { } disabled
        ? new(credential.Fingerprint, "disabled", disabled.Status, disabled.Since, disabled.Until)
        : new(credential.Fingerprint, "ready", null, null, null);

    private static string Name(ReplicaStatus status) => status switch
    {
        ReplicaStatus.Up => "up",
        ReplicaStatus.Down => "down",
        _ => "unknown",
    };

    private static Task OneAsync(string name, Topology topology, HttpContext context)
    {
        var models = Models(topology);
        return models.FirstOrDefault(model => model.Id == name) is { } found
            ? TypedResults.Json(found, ProviderJsonContext.Default.ModelView).ExecuteAsync(context)
            : ProxyError.UnknownModel(name, models.Select(model => model.Id)).WriteAsync(context);
    }

    private static IReadOnlyList<ModelView> Models(Topology topology)
    {
        var served = topology.Replicas.SelectMany(r => r.State.Models.Values)
            .DistinctBy(m => m.Id).OrderBy(m => m.Id, StringComparer.Ordinal).ToArray();
        var models = served.Select(m => new ModelView(m.Id, "model", m.Created, m.OwnedBy, m.Id, m.MaxModelLength));
        var aliases = topology.Aliases.All
            .Join(served, alias => alias.Value.Model, model => model.Id,
                (alias, model) => new ModelView(alias.Key, "model", model.Created, model.OwnedBy, model.Id, model.MaxModelLength))
            .OrderBy(m => m.Id, StringComparer.Ordinal);
        var routed = topology.Routes.Names.Order(StringComparer.Ordinal)
            .Select(name => (Name: name, Model: topology.Routes.Resolve(name, null).Targets.Select(target => target.Served())
                .FirstOrDefault(m => m is not null)))
            .Where(route => route.Model is not null)
            .Select(route => new ModelView(
                route.Name, "model", route.Model!.Created, route.Model.OwnedBy, route.Model.Id, route.Model.MaxModelLength));
        return [.. routed.Concat(models).Concat(aliases).DistinctBy(m => m.Id)];
    }
}

internal sealed record ProviderList(IReadOnlyList<ProviderView> Providers);

internal sealed record ProviderView(
    string Name, string Kind, IReadOnlyList<CredentialView> Credentials, IReadOnlyList<ReplicaView> Replicas);

/// <summary>A key by its fingerprint; <c>status</c> is the provider's refusal, <c>until</c> when it is tried again.</summary>
internal sealed record CredentialView(string Fingerprint, string State, int? Status, DateTimeOffset? Since, DateTimeOffset? Until);

internal sealed record ReplicaView(
    string Name, string Address, string State, bool Draining, int InFlight, IReadOnlyList<string> Models, string? LastError,
    DateTimeOffset LastChange, IReadOnlyList<BreakerView> Breakers);

internal sealed record ModelList(string Object, IReadOnlyList<ModelView> Data);

/// <summary>A model as clients see it; <c>root</c> is the model behind an alias.</summary>
internal sealed record ModelView(
    string Id,
    string Object,
    long Created,
    [property: JsonPropertyName("owned_by")] string OwnedBy,
    string Root,
    [property: JsonPropertyName("max_model_len")] int? MaxModelLength);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ProviderList))]
[JsonSerializable(typeof(ModelList))]
internal sealed partial class ProviderJsonContext : JsonSerializerContext;
