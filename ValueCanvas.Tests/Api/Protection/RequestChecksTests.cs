using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api.Protection;

public sealed class RequestChecksTests
{
    /// <summary>Seen from the proxy's place: what a client says in our services' name, or a proxy's, does not arrive.</summary>
    [Fact]
    public async Task Header_OfOurServicesFromAClient_IsTakenOff()
    {
        await using var inference = await FakeInference.StartAsync();
        await using var api = new ApiHost(inference.Address);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent("""{"model":"default"}"""),
        };
        var foreign = Guid.NewGuid().ToString();
        foreach (var name in new[]
        {
            "x-valuecanvas-tenant", "X-ValueCanvas-Internal", "x_valuecanvas_tenant", "x_anything", "X-Forwarded-For", "X-Forwarded-Host",
            "Forwarded",
            "X-Real-IP", "X-Original-URL", "X-HTTP-Method-Override",
        })
        {
            request.Headers.TryAddWithoutValidation(name, foreign);
        }

        request.Headers.TryAddWithoutValidation("OpenAI-Beta", "kept");

        using var response = await api.Client.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.True(response.IsSuccessStatusCode);
        var seen = Assert.Single(inference.Seen).Headers;
        Assert.DoesNotContain(seen, header => header.Value.Contains(foreign, StringComparison.Ordinal));
        Assert.Equal(Tenants.Development.ToString(), seen["x-valuecanvas-tenant"]);
        Assert.Equal("kept", seen["OpenAI-Beta"]);
    }
}
