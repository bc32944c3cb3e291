namespace ValueCanvas.Worker.Webhooks;

/// <summary>What became of one attempt.</summary>
/// <param name="Status">What the endpoint answered; null where it did not.</param>
/// <param name="Error">
/// Null where it succeeded; else <c>http_status</c>, <c>address_refused</c>, <c>unreachable</c>, <c>tls</c>, <c>timeout</c> or
/// <c>broken_off</c>.
/// </param>
/// <param name="RetryAfter">How long the endpoint asked to wait, if it did.</param>
internal sealed record WebhookAnswer(int? Status, string? Error, TimeSpan? RetryAfter = null)
{
    private const int Gone = 410;

    public bool Succeeded => Error is null;

    /// <summary>The endpoint wants no more of it, ever.</summary>
    public bool IsGone => Status == Gone;
}
