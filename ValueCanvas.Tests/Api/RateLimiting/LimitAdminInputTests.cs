using ValueCanvas.Tests.Api.ApiKeys;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>What operators send that makes no sense is a 400 that names the field, and changes nothing.</summary>
public sealed class LimitAdminInputTests(KeyApi api) : IClassFixture<KeyApi>
{
    [Theory]
    [InlineData("x", """{"limit":-1}""", "limit")]
    [InlineData("x", """{"limit":1,"algorithm":"sieve"}""", "algorithm")]
    [InlineData("x", """{"limit":1,"routes":["nowhere"]}""", "routes")]
    [InlineData("Upper", """{"limit":1}""", "name")]
    [InlineData("x", """{"limit":1,"unit":"tokens","algorithm":"concurrency"}""", "unit")]
    [InlineData("x", """{"limit":"many"}""", "limit")]
    [InlineData("x", """{"limit":1,"strangers":true,"scope":"tenant"}""", "strangers")]
    [InlineData("x", """{"limit":1,"strangers":true,"unit":"tokens","scope":"ip"}""", "strangers")]
    public async Task Put_ThatMakesNoSense_Is400AndNamesTheField(string name, string body, string field)
    {
        using var response = await api.Host.Client.PutAsync(
            $"/api/admin/limits/{name}", KeyDatabase.Json(body), TestContext.Current.CancellationToken);

        Assert.True((await ApiHost.ProblemAsync(response, 400)).GetProperty("errors").TryGetProperty(field, out _));
    }

    [Theory]
    [InlineData("""{"action":"ban"}""", "subject")]
    [InlineData("""{"subject":"planet:earth","action":"ban"}""", "subject")]
    [InlineData("""{"subject":"ip:1.2.3.4","action":"hug"}""", "action")]
    [InlineData("""{"subject":"ip:1.2.3.4","action":"reset","until":"2030-01-01T00:00:00Z"}""", "until")]
    public async Task Subject_ThatMakesNoSense_Is400(string body, string field)
    {
        using var response = await api.Host.PostAsync("/api/admin/limits/subjects", body);

        Assert.True((await ApiHost.ProblemAsync(response, 400)).GetProperty("errors").TryGetProperty(field, out _));
    }
}
