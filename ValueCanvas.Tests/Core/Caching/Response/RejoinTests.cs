using System.Text;
using ValueCanvas.Core.Caching.Flights;

namespace ValueCanvas.Tests.Core.Caching.Response;

/// <summary>A second call of the model that goes on with the stream of a first one.</summary>
public sealed class RejoinTests
{
    [Theory]
    [InlineData("chatcmpl-2", 100)]
    [InlineData("chatcmpl-1", 101)]
    [InlineData("chatcmpl-2", 101)]
    [InlineData("another-name", 1_000_000)]
    public void SecondCall_UnderAnotherIdAndLater_GoesOnUnderTheFirstOnes(string id, int created)
    {
        var rejoin = new Rejoin(10_000);
        rejoin.Had(Event("chatcmpl-1", 100, "one"));
        rejoin.Begin();

        byte[] passedOn = [.. rejoin.Next(Event(id, created, "one")), .. rejoin.Next(Event(id, created, "two")), .. rejoin.End()];

        Assert.Equal(Encoding.UTF8.GetString(Event("chatcmpl-1", 100, "two")), Encoding.UTF8.GetString(passedOn));
    }

    [Fact]
    public void SecondCall_ThatSaysSomethingElse_DoesNotGoOn()
    {
        var rejoin = new Rejoin(10_000);
        rejoin.Had(Event("chatcmpl-1", 100, "one"));
        rejoin.Begin();

        Assert.Throws<IOException>(() => rejoin.Next(Event("chatcmpl-2", 101, "two")));
    }

    private static byte[] Event(string id, int created, string text) => Encoding.UTF8.GetBytes(
        $$$"""data: {"id":"{{{id}}}","created":{{{created}}},"choices":[{"delta":{"content":"{{{text}}}"}}]}""" + "\n\n");
}
