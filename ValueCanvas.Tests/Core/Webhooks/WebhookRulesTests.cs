using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Secrets;
using ValueCanvas.Core.Webhooks;
using ValueCanvas.Worker.Webhooks;

namespace ValueCanvas.Tests.Core.Webhooks;

public sealed class WebhookRulesTests
{
    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("2606:4700:4700::1111", true)]
    [InlineData("::ffff:8.8.8.8", true)]
    [InlineData("0.0.0.0", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("100.100.100.200", false)]
    [InlineData("127.0.0.1", false)]
    [InlineData("127.8.8.8", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("172.31.255.255", false)]
    [InlineData("192.168.0.1", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("::", false)]
    [InlineData("::1", false)]
    [InlineData("::ffff:127.0.0.1", false)]
    [InlineData("::127.0.0.1", false)]
    [InlineData("64:ff9b::7f00:1", false)]
    [InlineData("2002:7f00:1::", false)]
    [InlineData("2001:0:7f00:1::", false)]
    [InlineData("fc00::1", false)]
    [InlineData("fd00:ec2::254", false)]
    [InlineData("fe80::1", false)]
    [InlineData("ff02::1", false)]
    public void Networks_Address_AreOfTheInternetAlone(string address, bool admitted) =>
        Assert.Equal(admitted, new WebhookNetworks(Options.Create(new WebhookOptions())).Admits(IPAddress.Parse(address)));

    [Theory]
    [InlineData("10.1.2.3", true)]
    [InlineData("::ffff:10.1.2.3", true)]
    [InlineData("10.2.2.3", false)]
    public void Networks_Configured_AreAdmittedToo(string address, bool admitted) => Assert.Equal(
        admitted,
        new WebhookNetworks(Options.Create(new WebhookOptions { AllowedNetworks = ["10.1.0.0/16"] })).Admits(IPAddress.Parse(address)));

    /// <summary>The example of the Standard Webhooks libraries.</summary>
    [Fact]
    public void Sign_PublishedExample_IsTheirSignature() => Assert.Equal(
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        WebhookSignature.Sign(
            [Convert.FromBase64String("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
            Encoding.UTF8.GetBytes("""{"test": 2432232314}""")));

    [Fact]
    public void Secret_ForAnotherEndpointOrInstallation_DoesNotOpen()
    {
        var secrets = With("the first secret of this installation");
        var (tenant, endpoint) = (Guid.NewGuid(), Guid.NewGuid());
        var (text, box) = secrets.Create(tenant, endpoint);

        Assert.Equal(text, "whsec_" + Convert.ToBase64String(secrets.Open(tenant, endpoint, box)));
        Assert.ThrowsAny<CryptographicException>(() => secrets.Open(tenant, Guid.NewGuid(), box));
        Assert.ThrowsAny<CryptographicException>(() => secrets.Open(Guid.NewGuid(), endpoint, box));
        Assert.ThrowsAny<CryptographicException>(() => With("the second secret of this installation").Open(tenant, endpoint, box));
    }

    [Fact]
    public void Schedule_ByDefault_TakesAboutADay()
    {
        var options = new WebhookOptions();
        var random = new Random(1);
        var all = Enumerable.Range(1, options.MaxAttempts - 1).Sum(n => WebhookSchedule.DelayAfter(n, null, options, random).TotalHours);

        Assert.InRange(all, 19, 30);
        Assert.InRange(WebhookSchedule.DelayAfter(1, null, options, random).TotalSeconds, 4, 6);
        Assert.InRange(WebhookSchedule.DelayAfter(1, TimeSpan.FromMinutes(2), options, random).TotalSeconds, 120, 120);
        Assert.InRange(WebhookSchedule.DelayAfter(1, TimeSpan.FromDays(9), options, random).TotalHours, 4, 4);
    }

    private static WebhookSecrets With(string key) => new(new SecretBox(Options.Create(new SecretOptions { SecretKey = key })));
}
