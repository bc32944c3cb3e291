using System.Security.Cryptography;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>
/// Asks the proxy for the accounts of every call, writes them to the call's outcome as they come, and takes them out of the answer, which
/// then is byte for byte what it would have been.
/// </summary>
internal sealed class MeterHandler : DelegatingHandler
{
    private const int MarkBytes = 12;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (InferenceCall.Of(request) is not { } call || request.Method != HttpMethod.Post)
            return await base.SendAsync(request, cancellationToken);

        // Anew each time: no model server can know it, and tell accounts of its own.
        var mark = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(MarkBytes));
        request.Headers.Remove(InferenceHeaders.Accounts);
        request.Headers.TryAddWithoutValidation(InferenceHeaders.Accounts, mark);
        var response = await base.SendAsync(request, cancellationToken);

        var meter = new CallMeter(call);
        if (response.Headers.NonValidated.TryGetValues(InferenceClient.ProviderHeader, out var provider))
            call.Outcome.Provider = provider.ToString();
        if (response.Headers.NonValidated.TryGetValues(InferenceHeaders.Accounts, out var accounts))
        {
            meter.Told(System.Text.Encoding.ASCII.GetBytes(accounts.ToString()));
            response.Headers.Remove(InferenceHeaders.Accounts);
        }

        if (response.Content.Headers.ContentType?.MediaType == "text/event-stream")
            response.Content = new WrappedContent(response.Content, inner => new AccountedStream(inner, mark, meter));
        else if (response.IsSuccessStatusCode)
            response.Content = new WrappedContent(response.Content, inner => new AnswerStream(inner, meter));
        return response;
    }
}
