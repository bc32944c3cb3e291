using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage;

/// <summary>
/// Has every call of a model in the books: its budget is reserved before, its row committed before the reader gets the end of an answer
/// that costs something, and written afterwards where the answer cost nothing, failed, or was left.
/// </summary>
/// <param name="ledger">Null in a host that keeps no books.</param>
internal sealed class UsageHandler(UsageLedger? ledger = null) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (ledger is null || InferenceCall.Of(request) is not { } call || !IsCounted(request))
            return await base.SendAsync(request, cancellationToken);

        var entry = await ledger.OpenAsync(call, request, cancellationToken);
        if (entry.Refusal is { } refusal)
            return refusal.ToResponse(request);
        HttpResponseMessage response;
        try
        {
            response = await base.SendAsync(request, cancellationToken);
        }
        catch (Exception exception)
        {
            entry.Break(exception is OperationCanceledException ? CallEnd.Cancelled : CallEnd.Failed);
            throw;
        }

        entry.Answered(response);
        response.Content = new WrappedContent(response.Content, inner => new CountedStream(inner, entry), entry.Leave);
        return response;
    }

    // Counting the tokens of a message asks no model.
    private static bool IsCounted(HttpRequestMessage request) =>
        request.Method == HttpMethod.Post
        && request.RequestUri?.OriginalString.EndsWith("/count_tokens", StringComparison.Ordinal) is false;
}
