using System.Globalization;

namespace ValueCanvas.AppHost;

/// <summary>The model servers behind the proxy: their resources, and the model that the alias <c>default</c> means (null: whatever they
/// serve).</summary>
internal sealed record ModelServers(
    IReadOnlyList<IResourceBuilder<IResource>> Replicas, IResourceBuilder<ParameterResource>? Model, string? ModelName);

internal static class VllmExtensions
{
    private const string Image = "vllm/vllm-openai";
    private const string Tag = "v0.12.0";
    private const string DefaultModel = "meta-llama/Llama-3.1-8B-Instruct";

    /// <summary>
    /// Adds <c>{name}-0</c>, <c>{name}-1</c>, … by configuration: servers that run already (<c>Vllm:Urls:0</c>, …), vLLM containers with
    /// GPUs (<c>Vllm:Model</c>), or simulators. Publishing always emits the containers.
    /// </summary>
    public static ModelServers AddModelServers(this IDistributedApplicationBuilder builder, string name)
    {
        var model = builder.Configuration["Vllm:Model"] is { Length: > 0 } configured ? configured : null;
        if (builder.ExecutionContext.IsPublishMode)
            return builder.AddContainers(name, model ?? DefaultModel, builder.ReplicaCount(2));

        var urls = builder.Configuration.GetSection("Vllm:Urls").GetChildren().Select(url => url.Value ?? "").ToArray();
        if (urls.Length > 0)
            return new([.. urls.Select((url, i) => builder.AddServer($"{name}-{i}", url))], Model: null, model);

        // One container takes a whole GPU's memory, so one is what a developer's machine can hold unless it says otherwise.
        return model is null
            ? builder.AddSimulators(name, builder.ReplicaCount(2))
            : builder.AddContainers(name, model, builder.ReplicaCount(1));
    }

    /// <summary>Tells the proxy where the model servers are and which model is the default one.</summary>
    public static IResourceBuilder<ProjectResource> WithModelServers(this IResourceBuilder<ProjectResource> proxy, ModelServers models)
    {
        for (var i = 0; i < models.Replicas.Count; i++)
        {
            var variable = $"Inference__Providers__vllm__Endpoints__{i}";
            switch (models.Replicas[i])
            {
                case IResourceBuilder<ExternalServiceResource> server:
                    proxy.WithEnvironment(variable, server).WaitFor(server);
                    break;
                case IResourceBuilder<IResourceWithEndpoints> server:
                    string address = $"http://{server.Resource.Name}";
                    proxy.WithReference(server.GetEndpoint("http")).WithEnvironment(variable, address).WaitFor(server);
                    break;
            }
        }

        const string defaultModel = "Inference__DefaultModel";
        return models switch
        {
            { Model: { } parameter } => proxy.WithEnvironment(defaultModel, parameter),
            { ModelName: { } value } => proxy.WithEnvironment(defaultModel, value),
            _ => proxy,
        };
    }

    private static ModelServers AddContainers(this IDistributedApplicationBuilder builder, string name, string model, int replicas)
    {
        var modelName = builder.AddParameter("vllm-model", model, publishValueAsDefault: true);
        var token = builder.AddParameter("hf-token", () => builder.Configuration["Parameters:hf-token"] ?? "", secret: true);
        return new([.. Enumerable.Range(0, replicas).Select(i => builder.AddContainer($"{name}-{i}", Image, Tag)
            .WithArgs("--model", modelName, "--enable-prompt-tokens-details", "--enable-request-id-headers")
            .WithEnvironment("HF_TOKEN", token)
            .WithVolume("hf-cache", "/root/.cache/huggingface")
            .WithContainerRuntimeArgs("--gpus", "all", "--ipc", "host")
            .WithLifetime(ContainerLifetime.Persistent)
            .WithHttpEndpoint(targetPort: 8000, name: "http")
            .WithHttpHealthCheck("/health"))], modelName, model);
    }

    private static ModelServers AddSimulators(this IDistributedApplicationBuilder builder, string name, int replicas) =>
        new([.. Enumerable.Range(0, replicas).Select(i => builder.AddProject<Projects.ValueCanvas_VllmSimulator>($"{name}-{i}")
            .WithHttpEndpoint()
            .WithEnvironment("Simulator__Model", DefaultModel)
            .WithHttpHealthCheck("/health"))], Model: null, DefaultModel);

    private static IResourceBuilder<ExternalServiceResource> AddServer(
        this IDistributedApplicationBuilder builder, string name, string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            ? builder.AddExternalService(name, uri).WithHttpHealthCheck("/health")
            : throw new DistributedApplicationException($"Vllm:Urls holds '{url}'; it must be an absolute http or https address.");

    private static int ReplicaCount(this IDistributedApplicationBuilder builder, int @default)
    {
        var text = builder.Configuration["Vllm:Replicas"];
        if (string.IsNullOrEmpty(text))
            return @default;
        return int.TryParse(text, CultureInfo.InvariantCulture, out var count) && count is > 0 and <= 64
            ? count
            : throw new DistributedApplicationException($"Vllm:Replicas is '{text}'; it must be a number between 1 and 64.");
    }
}
