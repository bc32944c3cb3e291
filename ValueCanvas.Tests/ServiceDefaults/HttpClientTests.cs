using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace ValueCanvas.Tests.ServiceDefaults;

public sealed class HttpClientTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Client_NameOfAService_ReachesItsAddress()
    {
        await using var other = await ServiceHost.StartAsync(map: app => app.MapGet("/who", () => "the other"));
        await using var app = await ServiceHost.StartAsync(settings: [("services:other:http:0", other.Urls.First())]);
        using var client = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("any");

        Assert.Equal("the other", await client.GetStringAsync(new Uri("http://other/who"), Cancel));
    }

    [Fact]
    public async Task Client_ServerFails_AsksOnceAndHandsTheAnswerOn()
    {
        var calls = 0;
        await using var other = await ServiceHost.StartAsync(map: app => app.MapPost("/work", () =>
        {
            Interlocked.Increment(ref calls);
            return Results.StatusCode(503);
        }));
        await using var app = await ServiceHost.StartAsync(settings: [("services:other:http:0", other.Urls.First())]);
        using var client = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("any");

        using var response = await client.PostAsync(new Uri("http://other/work"), null, Cancel);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(1, calls);
    }

    [Fact]
    public async Task Client_InsideASpan_CarriesItsTrace()
    {
        await using var other = await ServiceHost.StartAsync(map: app => app.MapGet("/trace", (HttpContext context) =>
            context.Request.Headers.TraceParent.ToString()));
        await using var app = await ServiceHost.StartAsync(settings: [("services:other:http:0", other.Urls.First())]);
        using var client = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient("any");
        using var span = new Activity("work").Start();

        Assert.Contains(span.TraceId.ToString(), await client.GetStringAsync(new Uri("http://other/trace"), Cancel));
    }
}
