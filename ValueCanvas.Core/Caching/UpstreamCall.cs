using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching;

/// <summary>What a flight sends: the first one's request, for as long as the flight lives, whatever becomes of the first one.</summary>
internal sealed class UpstreamCall(
    HttpRequestMessage first, RequestBody body, InferenceCall call,
    Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> send)
{
    private readonly HttpRequestMessage _message = Copy(first, body);

    /// <summary>Asks; what comes of it is written to the outcome.</summary>
    public async Task<HttpResponseMessage> SendAsync(InferenceOutcome outcome, CancellationToken cancellationToken)
    {
        (call with { Outcome = outcome }).AttachTo(_message);
        return await send(_message, cancellationToken);
    }

    /// <summary>Over: the body's memory may be used by others.</summary>
    public void End() => _message.Dispose();

    private static HttpRequestMessage Copy(HttpRequestMessage first, RequestBody body)
    {
        var copy = new HttpRequestMessage(first.Method, first.RequestUri)
        {
            Version = first.Version,
            VersionPolicy = first.VersionPolicy,
            Content = body.ToContent(),
        };
        foreach (var (name, values) in first.Headers.NonValidated)
            copy.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values);
        foreach (var (name, value) in (IEnumerable<KeyValuePair<string, object?>>)first.Options)
            ((IDictionary<string, object?>)copy.Options)[name] = value;
        return copy;
    }
}
