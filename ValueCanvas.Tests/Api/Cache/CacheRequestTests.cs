using Microsoft.AspNetCore.Http;
using ValueCanvas.Api.Cache;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Tests.Api.Cache;

public sealed class CacheRequestTests
{
    [Theory]
    [InlineData(null, CacheUse.WhenDeterministic, false, false, null)]
    [InlineData("no-cache", CacheUse.WhenDeterministic, true, false, null)]
    [InlineData("no-store", CacheUse.WhenDeterministic, false, true, null)]
    [InlineData("No-Cache, NO-STORE", CacheUse.Never, false, false, null)]
    [InlineData("max-age=60", CacheUse.Always, false, false, 60)]
    [InlineData("max-age=\"60\", private", CacheUse.Always, false, false, 60)]
    [InlineData("max-age=0", CacheUse.WhenDeterministic, true, false, 0)]
    [InlineData("max-age=-1", CacheUse.WhenDeterministic, false, false, null)]
    [InlineData("max-age=99999999999999999999", CacheUse.WhenDeterministic, false, false, null)]
    [InlineData("max-age=99999999999", CacheUse.Always, false, false, int.MaxValue)]
    [InlineData(", ,=", CacheUse.WhenDeterministic, false, false, null)]
    public void Header_IsReadAsHttpSays(string? header, CacheUse use, bool refresh, bool noStore, int? maxAge)
    {
        var request = new DefaultHttpContext().Request;
        if (header is not null)
            request.Headers.CacheControl = header;

        var wanted = request.CacheControl(CacheControl.WhenDeterministic);

        Assert.Equal(
            (use, refresh, noStore, maxAge is null ? (TimeSpan?)null : TimeSpan.FromSeconds(maxAge.Value)),
            (wanted.Use, wanted.Refresh, wanted.NoStore, wanted.MaxAge));
    }

    [Fact]
    public void Tags_AreRead_WithinBounds()
    {
        var request = new DefaultHttpContext().Request;
        request.Headers["x-cache-tags"] = new([" canvas:1, b ,b", $"{new string('x', 201)}, with space, ü,\u0001"]);
        Assert.Equal(["canvas:1", "b"], request.CacheControl(CacheControl.Always).Tags);

        request.Headers["x-cache-tags"] = string.Join(',', Enumerable.Range(0, 100));
        Assert.Equal(16, request.CacheControl(CacheControl.Always).Tags.Count);
    }
}
