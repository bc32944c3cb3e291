using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Protection;

namespace ValueCanvas.Tests.Api.Protection;

public sealed class AdminNetworksTests
{
    private static readonly Endpoint OperatorsRoute = new(null, new EndpointMetadataCollection(new Requirement.OfOperator()), "operators");

    [Theory]
    [InlineData("10.1.2.3", true)]
    [InlineData("::ffff:10.1.2.3", true)]
    [InlineData("10.2.0.1", false)]
    [InlineData("192.0.2.7", true)]
    [InlineData("192.0.2.8", false)]
    [InlineData("2001:db8:5::1", true)]
    [InlineData("2001:db8:6::1", false)]
    [InlineData("::1", false)]
    [InlineData(null, false)]
    public async Task Route_OfOperators_IsClosedToOtherNetworks(string? address, bool open)
    {
        var context = From(address);
        context.SetEndpoint(OperatorsRoute);

        var networks = Networks("10.1.0.0/16", "192.0.2.7", "2001:db8:5::/48");
        var refused = await Record.ExceptionAsync(() => networks.CloseRoutes(context, _ => Task.CompletedTask));

        Assert.Equal(open, refused is null);
        Assert.Equal(open ? null : "network", Suspicion.Of(context));
        if (refused is not null)
            Assert.Equal(403, Assert.IsType<RequestException>(refused).Status);
    }

    [Fact]
    public async Task Route_OfEverybody_IsOpenToAllNetworks()
    {
        var reached = false;
        await Networks("10.1.0.0/16").CloseRoutes(From("203.0.113.9"), _ =>
        {
            reached = true;
            return Task.CompletedTask;
        });

        Assert.True(reached);
    }

    [Theory]
    [InlineData("10.1.2.3", true)]
    [InlineData("203.0.113.9", false)]
    public async Task Operator_OnAnotherRoute_IsOneInsideTheNetworksAlone(string address, bool isOperator)
    {
        var context = From(address);
        context.Features.Set(
            new Caller(Guid.NewGuid(), Role.Owner, CredentialKind.ApiKey) { HolderId = Guid.NewGuid(), IsOperator = true });

        await Networks("10.1.0.0/16").LeaveOperatorsOutside(context, _ => Task.CompletedTask);

        Assert.Equal(isOperator, Caller.Of(context).IsOperator);
    }

    [Fact]
    public void Networks_NoneConfigured_AllowEverybody() => Assert.True(Networks().Allows(From("203.0.113.9")));

    private static AdminNetworks Networks(params string[] networks) => new(
        Options.Create(new ProtectionOptions { AdminNetworks = networks }));

    private static DefaultHttpContext From(string? address)
    {
        var context = new DefaultHttpContext();
        context.Connection.RemoteIpAddress = address is null ? null : IPAddress.Parse(address);
        return context;
    }
}
