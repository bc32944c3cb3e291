namespace ValueCanvas.Tests.Api;

public sealed class OpenApiTests
{
    // What operates the service rather than being its product, and the catch-alls that answer unknown paths.
    private static readonly string[] NotPublic = ["/health", "/ready", "/api/health", "/openapi/"];

    [Fact]
    public async Task Document_NamesEveryPublicRoute_AndNoOther()
    {
        await using var api = new ApiHost();
        using var response = await api.GetAsync("/openapi/v1.json");
        var document = await ApiHost.JsonAsync(response);

        var documented = document.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(operation => $"{operation.Name.ToUpperInvariant()} {path.Name}"))
            .Order(StringComparer.Ordinal).ToArray();
        var mapped = api.Routes()
            .Where(route => !Array.Exists(NotPublic, prefix => route.Path.StartsWith(prefix, StringComparison.Ordinal)))
            .Select(route => $"{route.Method} {route.Path}")
            .Distinct().Order(StringComparer.Ordinal).ToArray();

        Assert.NotEmpty(documented);
        Assert.Equal(mapped, documented);
    }

    private static readonly string[] WithoutBody =
    [
        "/api/queue/jobs/{id}/cancel", "/api/queue/jobs/{id}/retry", "/api/queue/pause", "/api/queue/resume",
        "/api/admin/queue/pause", "/api/admin/queue/resume", "/api/queue/webhooks/{id}/rotate", "/api/queue/webhooks/{id}/test",
        "/api/queue/webhooks/{id}/deliveries/{deliveryId}/redeliver",
        "/api/tenants/{tenantId}/members/{userId}/password-reset",
    ];

    [Fact]
    public async Task Document_DescribesABodyForEveryPost()
    {
        await using var api = new ApiHost();
        using var response = await api.GetAsync("/openapi/v1.json");
        var document = await ApiHost.JsonAsync(response);

        foreach (var path in document.GetProperty("paths").EnumerateObject())
        {
            // What the path says is all there is to say.
            if (WithoutBody.Contains(path.Name))
                continue;
            if (path.Value.TryGetProperty("post", out var post))
                Assert.True(post.TryGetProperty("requestBody", out _), $"POST {path.Name} has no requestBody");
        }
    }
}
