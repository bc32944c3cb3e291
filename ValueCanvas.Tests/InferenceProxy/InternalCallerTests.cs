using Microsoft.AspNetCore.Http;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Callers;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class InternalCallerTests
{
    private static readonly InferenceOptions Options = new() { InternalKey = "the-key" };

    [Fact]
    public void Caller_WithTheKey_IsBelieved()
    {
        var caller = InternalCaller.Of(
            Request("the-key", ("tenant", "acme"), ("priority", "high"), ("deadline", "2026-11-21T10:00:00Z")), Options).Caller;

        Assert.Equal(new Caller("acme", Priority.High, new DateTimeOffset(2026, 11, 21, 10, 0, 0, TimeSpan.Zero)), caller);
    }

    [Theory]
    [InlineData("another-key")]
    [InlineData("")]
    [InlineData(null)]
    public void Caller_WithoutTheKey_IsNotEvenRead(string? key) =>
        Assert.Null(InternalCaller.Of(Request(key, ("tenant", "acme"), ("priority", "high")), Options).Caller);

    [Fact]
    public void Caller_WhoseWordsAreGarbled_IsAsAnybody() =>
        Assert.Equal(
            new Caller("", Priority.Normal, null),
            InternalCaller.Of(Request("the-key", ("priority", "17"), ("deadline", "soon")), Options).Caller);

    private static HttpRequest Request(string? key, params (string Name, string Value)[] words)
    {
        var request = new DefaultHttpContext().Request;
        if (key is not null)
            request.Headers[InternalCaller.KeyHeader] = key;
        foreach (var (name, value) in words)
            request.Headers[$"x-valuecanvas-{name}"] = value;
        return request;
    }
}
