using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;

namespace ValueCanvas.Tests.Native;

public sealed class ReferenceExpressionTests
{
    [Fact]
    public async Task ConnectionString_OfTwoResources_HasValuesInARunAndPlaceholdersInAManifest()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var postgres = builder.AddPostgres("postgres");
        var database = postgres.AddDatabase("orders", "orders-db");
        var password = builder.AddParameter("app-password", "se{cr}et", secret: true);
        Allocate(postgres.Resource, 5433);

        var expression = ReferenceExpression.Create(
            $"Host={postgres.Resource.Host};Port={postgres.Resource.Port};Password={password};Database={database.Resource.DatabaseName}");

        Assert.Equal(
            "Host=localhost;Port=5433;Password=se{cr}et;Database=orders-db",
            await expression.GetValueAsync(TestContext.Current.CancellationToken));
        Assert.Equal(
            "Host={postgres.bindings.tcp.host};Port={postgres.bindings.tcp.port};Password={app-password.value};Database=orders-db",
            expression.ValueExpression);
    }

    [Fact]
    public async Task RedisUri_WithAPasswordToEscape_IsEscaped()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var cache = builder.AddRedis("cache", password: builder.AddParameter("secret", "a b/c", secret: true));
        Allocate(cache.Resource, 6380);

        Assert.Equal(
            "redis://:a%20b%2Fc@localhost:6380",
            await cache.Resource.UriExpression.GetValueAsync(TestContext.Current.CancellationToken));
        Assert.Equal(
            "{cache.bindings.tcp.scheme}://:{secret-uri-encoded.value}@{cache.bindings.tcp.host}:{cache.bindings.tcp.port}",
            cache.Resource.UriExpression.ValueExpression);
    }

    // The name, hash included, that Aspire 13.5.4's publisher wrote for a Redis named "cache".
    [Fact]
    public async Task RedisConnectionString_InAManifest_NamesTheTlsConditionAsAspireDoes()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var cache = builder.AddRedis("cache");

        Assert.Equal(
            "{cache.bindings.tcp.host}:{cache.bindings.tcp.port},password={cache-password.value}" +
            "{cond-cache-bindings-tcp-tlsenabled-3eddb73a.connectionString}",
            cache.Resource.ConnectionStringExpression.ValueExpression);
    }

    private static void Allocate(IResource resource, int port)
    {
        var endpoint = resource.Annotations.OfType<EndpointAnnotation>().Single();
        endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "localhost", port);
    }
}
