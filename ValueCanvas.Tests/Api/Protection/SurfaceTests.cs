using System.Net;
using Microsoft.AspNetCore.DataProtection;

namespace ValueCanvas.Tests.Api.Protection;

/// <summary>What a stranger sees of the service.</summary>
public sealed class SurfaceTests(FakedApi faked) : IClassFixture<FakedApi>
{
    private readonly ApiHost _api = faked.Host;

    [Fact]
    public async Task Document_ForAStranger_IsClosed()
    {
        using var stranger = _api.ClientWith(null);
        using var refused = await stranger.GetAsync("/openapi/v1.json", TestContext.Current.CancellationToken);
        using var answered = await _api.GetAsync("/openapi/v1.json");

        await ApiHost.ProblemAsync(refused, 401);
        Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
    }

    /// <summary>A path that there is and one that there is not look the same.</summary>
    [Theory]
    [InlineData("/api/audit")]
    [InlineData("/api/nothing/here")]
    [InlineData("/api/auth/csrf")]
    [InlineData("/v1/models")]
    public async Task Route_ForAStranger_Is401(string path)
    {
        using var stranger = _api.ClientWith(null);
        using var refused = await stranger.GetAsync(path, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    /// <summary>
    /// What is sealed is sealed by SecretBox; keys of the framework's own would have to be shared by all instances as well.
    /// </summary>
    [Fact]
    public void DataProtection_OfTheFramework_IsNotUsed() => Assert.Null(_api.Services.GetService(typeof(IDataProtectionProvider)));
}
