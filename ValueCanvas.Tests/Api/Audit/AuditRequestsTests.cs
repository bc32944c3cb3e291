using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Audit;

/// <summary>What is recorded of requests about which their feature says nothing.</summary>
public sealed class AuditRequestsTests
{
    private static readonly Caller Somebody = new(Guid.NewGuid(), Role.Admin, CredentialKind.AccessToken)
    {
        HolderId = Guid.NewGuid(),
        UserId = Guid.NewGuid(),
    };

    [Theory]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("PATCH")]
    [InlineData("DELETE")]
    public async Task Change_OfWhichNobodySaysAnything_IsRecordedByItsRoute(string method)
    {
        var row = Assert.Single(await RowsAsync(method, 204));

        Assert.Equal("request.changed", row.Event);
        Assert.Equal("success", row.Outcome);
        Assert.Equal(Somebody.TenantId, row.Tenant);
        Assert.Equal(("user", Somebody.UserId.ToString()), (row.ActorKind, row.ActorId));
        Assert.Equal($$"""{"method":"{{method}}","route":"/api/things/{id}","status":"204"}""", row.Details);
    }

    [Theory]
    [InlineData("GET", 200)]
    [InlineData("HEAD", 200)]
    [InlineData("POST", 400)]
    [InlineData("POST", 404)]
    [InlineData("POST", 429)]
    [InlineData("POST", 503)]
    public async Task Request_ThatChangedNothing_IsNotRecorded(string method, int status) => Assert.Empty(await RowsAsync(method, status));

    [Theory]
    [InlineData(401, "not signed in")]
    [InlineData(403, "not allowed")]
    [InlineData(413, "too large")]
    public async Task Refusal_OfWhichNobodySaysAnything_IsRecorded(int status, string reason)
    {
        var row = Assert.Single(await RowsAsync("GET", status));

        Assert.Equal(("request.refused", "denied"), (row.Event, row.Outcome));
        Assert.Contains($"\"reason\":\"{reason}\"", row.Details, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Change_OfWhichTheFeatureSpoke_IsRecordedOnce() =>
        Assert.Equal("thing.made", Assert.Single(
            await RowsAsync("POST", 200, (context, log) => log.Record(context, new("thing.made")))).Event);

    [Fact]
    public async Task Change_OnARouteThatNeedsNoRow_IsNotRecorded() =>
        Assert.Empty(await RowsAsync("POST", 200, metadata: new NotAudited("It changes nothing.")));

    private static async Task<List<AuditRow>> RowsAsync(
        string method, int status, Action<HttpContext, AuditLog>? feature = null, params object[] metadata)
    {
        await using var audit = new AuditWriting("Host=nowhere", new SteppedClock());
        var context = AuditWriting.From("198.51.100.1");
        context.Request.Method = method;
        context.Features.Set(Somebody);
        context.SetEndpoint(new RouteEndpoint(
            _ => Task.CompletedTask, RoutePatternFactory.Parse("/api/things/{id}"), 0, new EndpointMetadataCollection(metadata), "things"));
        await new AuditRequests(
            handled =>
            {
                handled.Response.StatusCode = status;
                feature?.Invoke(handled, audit.Log);
                return Task.CompletedTask;
            },
            audit.Log).InvokeAsync(context);

        var rows = new List<AuditRow>();
        while (audit.Queue.TryTake(out var row))
            rows.Add(row);
        return rows;
    }
}
