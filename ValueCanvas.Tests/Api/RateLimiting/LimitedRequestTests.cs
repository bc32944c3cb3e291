using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Subjects;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Who is counted under each scope, for each kind of caller.</summary>
public sealed class LimitedRequestTests
{
    private static readonly Guid Tenant = Guid.NewGuid();
    private static readonly Guid User = Guid.NewGuid();
    private static readonly Guid Key = Guid.NewGuid();

    [Fact]
    public void Scopes_OfAKey_AreItsOwnItsTenantsAndItsAddresses()
    {
        var request = Request(new(Tenant, Role.Member, CredentialKind.ApiKey) { ApiKeyId = Key, HolderId = User });

        Assert.Equal($"key:{Key:N}", request.Subject(LimitScope.ApiKey));
        Assert.Equal($"key:{Key:N}", request.Subject(LimitScope.Caller));
        Assert.Equal($"tenant:{Tenant:N}", request.Subject(LimitScope.Tenant));
        // Several keys of one person are not that person at the keyboard.
        Assert.Null(request.Subject(LimitScope.User));
        Assert.Null(request.Subject(LimitScope.User | LimitScope.Ip));
        Assert.Equal("route:POST /v1/things/{id}", request.Subject(LimitScope.Route));
        Assert.Equal("all", request.Subject(LimitScope.Global));
    }

    [Fact]
    public void Scopes_OfAUser_AreItsOwnAndItsTenants()
    {
        var request = Request(new(Tenant, Role.Member, CredentialKind.AccessToken) { UserId = User, HolderId = User });

        Assert.Equal($"user:{User:N}", request.Subject(LimitScope.User));
        Assert.Equal($"user:{User:N}", request.Subject(LimitScope.Caller));
        Assert.Null(request.Subject(LimitScope.ApiKey));
    }

    [Fact]
    public void Scopes_OfNobody_AreTheAddressAlone()
    {
        var request = Request(null);

        Assert.Equal(request.Subject(LimitScope.Ip), request.Subject(LimitScope.Caller));
        Assert.Null(request.Subject(LimitScope.Tenant));
    }

    [Fact]
    public void Scope_OfAModel_IsThereOnlyOnceTheModelIsKnown()
    {
        var request = Request(null);
        Assert.Null(request.Subject(LimitScope.Model));

        request.Model = "m";

        Assert.Equal("model:m", request.Subject(LimitScope.Model));
        Assert.EndsWith("+model:m", request.Subject(LimitScope.Ip | LimitScope.Model), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("192.0.2.1", "::ffff:192.0.2.1", true)]
    [InlineData("192.0.2.1", "192.0.2.2", false)]
    public void Address_OfOneCustomer_IsOneSubject(string one, string other, bool same) =>
        Assert.Equal(same, Request(null, one).Subject(LimitScope.Ip) == Request(null, other).Subject(LimitScope.Ip));

    private static LimitedRequest Request(Caller? caller, string address = "192.0.2.7")
    {
        var context = new DefaultHttpContext();
        context.Request.Method = "POST";
        context.Connection.RemoteIpAddress = IPAddress.Parse(address);
        context.SetEndpoint(new RouteEndpoint(_ => Task.CompletedTask, RoutePatternFactory.Parse("v1/things/{id}"), 0, null, null));
        context.Features.Set(caller);
        return new LimitedRequest(context, SubjectNames.Syntax);
    }
}
