using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;

namespace ValueCanvas.Tests.Native;

/// <summary>What a project finds in its environment is what the real Aspire 13.5 was seen to hand over.</summary>
public sealed class EnvironmentTests
{
    [Fact]
    public async Task Reference_ToRedis_GivesConnectionStringAndItsParts()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var cache = builder.AddRedis("cache", password: builder.AddParameter("secret", "pw", secret: true));
        Allocate(cache.Resource, 6380);
        var api = builder.AddProject<Projects.ValueCanvas_Api>("api").WithReference(cache);

        var environment = await EnvironmentAsync(api.Resource, builder.ExecutionContext);

        Assert.Equal("localhost:6380,password=pw", environment["ConnectionStrings__cache"]);
        Assert.Equal("localhost", environment["CACHE_HOST"]);
        Assert.Equal("6380", environment["CACHE_PORT"]);
        Assert.Equal("pw", environment["CACHE_PASSWORD"]);
        Assert.Equal("redis://:pw@localhost:6380", environment["CACHE_URI"]);
    }

    [Fact]
    public async Task Reference_ToADatabase_GivesConnectionStringAndItsParts()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var postgres = builder.AddPostgres("postgres", password: builder.AddParameter("secret", "pw", secret: true));
        Allocate(postgres.Resource, 5433);
        var migrations = builder.AddProject<Projects.ValueCanvas_Worker>("migrations").WithReference(postgres.AddDatabase("valuecanvas"));

        var environment = await EnvironmentAsync(migrations.Resource, builder.ExecutionContext);

        Assert.Equal(
            "Host=localhost;Port=5433;Username=postgres;Password=pw;Database=valuecanvas",
            environment["ConnectionStrings__valuecanvas"]);
        Assert.Equal("localhost", environment["VALUECANVAS_HOST"]);
        Assert.Equal("5433", environment["VALUECANVAS_PORT"]);
        Assert.Equal("postgres", environment["VALUECANVAS_USERNAME"]);
        Assert.Equal("pw", environment["VALUECANVAS_PASSWORD"]);
        Assert.Equal("valuecanvas", environment["VALUECANVAS_DATABASENAME"]);
        Assert.Equal("postgresql://postgres:pw@localhost:5433/valuecanvas", environment["VALUECANVAS_URI"]);
        Assert.Equal("jdbc:postgresql://localhost:5433/valuecanvas", environment["VALUECANVAS_JDBCCONNECTIONSTRING"]);
    }

    [Fact]
    public async Task Reference_ToAConnectionString_GivesThatAlone()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var connection = builder.AddConnectionString("valuecanvas-app", ReferenceExpression.Create($"Host=here;Password=pw"));
        var api = builder.AddProject<Projects.ValueCanvas_Api>("api").WithReference(connection, connectionName: "valuecanvas");

        var environment = await EnvironmentAsync(api.Resource, builder.ExecutionContext);

        Assert.Equal("Host=here;Password=pw", environment["ConnectionStrings__valuecanvas"]);
        Assert.DoesNotContain(environment.Keys, name => name.StartsWith("VALUECANVAS_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reference_ToAProject_GivesServiceDiscoveryAndAVariable()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var model = builder.AddProject<Projects.ValueCanvas_VllmSimulator>("vllm-0").WithHttpEndpoint();
        Allocate(model.Resource, 8001);
        var proxy = builder.AddProject<Projects.ValueCanvas_InferenceProxy>("inference").WithReference(model.GetEndpoint("http"));

        var environment = await EnvironmentAsync(proxy.Resource, builder.ExecutionContext);

        Assert.Equal("http://localhost:8001", environment["services__vllm-0__http__0"]);
        Assert.Equal("http://localhost:8001", environment["VLLM_0_HTTP"]);
    }

    [Fact]
    public async Task Reference_ToAnExternalService_GivesServiceDiscoveryAndAVariable()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var external = builder.AddExternalService("vllm-0", "http://gpu.example:8000");
        var proxy = builder.AddProject<Projects.ValueCanvas_InferenceProxy>("inference").WithReference(external);

        var environment = await EnvironmentAsync(proxy.Resource, builder.ExecutionContext);

        Assert.Equal("http://gpu.example:8000/", environment["services__vllm-0__http__0"]);
        Assert.Equal("http://gpu.example:8000/", environment["VLLM_0"]);
    }

    private static async Task<Dictionary<string, string?>> EnvironmentAsync(
        ProjectResource resource, DistributedApplicationExecutionContext context)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        var callbacks = new EnvironmentCallbackContext(context, resource, cancellationToken: cancellationToken);
        foreach (var annotation in resource.Annotations.OfType<EnvironmentCallbackAnnotation>())
            await annotation.Callback(callbacks);

        var values = new Dictionary<string, string?>();
        foreach (var (name, value) in callbacks.EnvironmentVariables)
            values[name] = value is IValueProvider provider ? await provider.GetValueAsync(cancellationToken) : value.ToString();
        return values;
    }

    private static void Allocate(IResource resource, int port)
    {
        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
            endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "localhost", port);
    }
}
