namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Why an attempt gave no complete answer: a closed set, also the label of metrics and spans.</summary>
internal enum AttemptFailure
{
    None,

    /// <summary>No connection: refused, unreachable, not in time.</summary>
    Connect,

    /// <summary>The host's name does not resolve.</summary>
    Dns,

    /// <summary>No TLS connection.</summary>
    Tls,

    /// <summary>The connection broke before the first byte of the answer.</summary>
    Reset,

    /// <summary>No status line in time, or none from a server whose health looks fail, too.</summary>
    HeadersTimeout,

    /// <summary>No content in time.</summary>
    FirstTokenTimeout,

    /// <summary>The whole answer took too long.</summary>
    TotalTimeout,

    /// <summary>429.</summary>
    RateLimited,

    /// <summary>503 with Retry-After, or 529: the server asks for patience.</summary>
    Overloaded,

    /// <summary>401, 402 or 403: the proxy's own credential.</summary>
    Credential,

    /// <summary>The same of a tenant's own key, which is no fault of the proxy's.</summary>
    TenantCredential,

    /// <summary>Any other 5xx, or 408.</summary>
    ServerError,

    /// <summary>A stream that ended with no content and no finish reason.</summary>
    EmptyStream,

    /// <summary>An error object among the events.</summary>
    ErrorEvent,

    /// <summary>An event that is no JSON object.</summary>
    Malformed,

    /// <summary>The answer broke after its first byte, or ended without its end.</summary>
    Cut,

    /// <summary>The answer stalled after its first byte.</summary>
    Stall,

    /// <summary>The model's context window does not hold the request.</summary>
    ContextWindow,

    /// <summary>The provider's policy does not let the request, or the answer, through.</summary>
    ContentPolicy,

    /// <summary>The client went away. Nobody's fault.</summary>
    ClientGone,

    /// <summary>Another attempt at the same request had content sooner. Nobody's fault.</summary>
    Outrun,
}

/// <summary>What follows from a cause.</summary>
internal static class AttemptFailures
{
    public static string Label(this AttemptFailure failure) => failure switch
    {
        AttemptFailure.Connect => "connect",
        AttemptFailure.Dns => "dns",
        AttemptFailure.Tls => "tls",
        AttemptFailure.Reset => "reset",
        AttemptFailure.HeadersTimeout => "headers_timeout",
        AttemptFailure.FirstTokenTimeout => "first_token_timeout",
        AttemptFailure.TotalTimeout => "total_timeout",
        AttemptFailure.RateLimited => "rate_limited",
        AttemptFailure.Overloaded => "overloaded",
        AttemptFailure.Credential => "credential",
        AttemptFailure.TenantCredential => "tenant_credential",
        AttemptFailure.ServerError => "server_error",
        AttemptFailure.EmptyStream => "empty_stream",
        AttemptFailure.ErrorEvent => "error_event",
        AttemptFailure.Malformed => "malformed",
        AttemptFailure.Cut => "cut",
        AttemptFailure.Stall => "stall",
        AttemptFailure.ContextWindow => "context_window",
        AttemptFailure.ContentPolicy => "content_policy",
        AttemptFailure.ClientGone => "client_gone",
        AttemptFailure.Outrun => "outrun",
        _ => "none",
    };

    /// <summary>The server could not be reached at all: it is down until a look finds it up.</summary>
    public static bool IsUnreachable(this AttemptFailure failure) =>
        failure is AttemptFailure.Connect or AttemptFailure.Dns or AttemptFailure.Tls;

    /// <summary>The server did answer, with a status that the client can be given when there is nobody else to ask. The proxy's own
    /// credential is none of the client's business.</summary>
    public static bool HasAnswer(this AttemptFailure failure) =>
        failure is AttemptFailure.RateLimited or AttemptFailure.Overloaded or AttemptFailure.ServerError || failure.IsDecline();

    public static bool IsTimeout(this AttemptFailure failure) =>
        failure is AttemptFailure.HeadersTimeout or AttemptFailure.FirstTokenTimeout or AttemptFailure.TotalTimeout;

    /// <summary>Another model may take what this one declined. Another replica of the same one would not.</summary>
    public static bool IsDecline(this AttemptFailure failure) => failure is AttemptFailure.ContextWindow or AttemptFailure.ContentPolicy;

    /// <summary>Nothing that the server could be blamed for.</summary>
    public static bool IsBlameless(this AttemptFailure failure) =>
        failure is AttemptFailure.None or AttemptFailure.ClientGone or AttemptFailure.Outrun || failure.IsDecline();

    /// <summary>Another replica may do better. Not after the client left or all of the time is used up.</summary>
    public static bool MovesOn(this AttemptFailure failure) => !failure.IsBlameless() && failure != AttemptFailure.TotalTimeout;

    /// <summary>Held against the replica. One that asks for patience cools instead.</summary>
    public static bool CountsForBreaker(this AttemptFailure failure) =>
        !failure.IsBlameless() && failure is not (AttemptFailure.RateLimited or AttemptFailure.Overloaded);

    /// <summary>What a status says about the server; other 4xx are the client's.</summary>
    public static AttemptFailure OfStatus(int status, bool hasRetryAfter) => status switch
    {
        429 => AttemptFailure.RateLimited,
        503 when hasRetryAfter => AttemptFailure.Overloaded,
        529 => AttemptFailure.Overloaded,
        401 or 402 or 403 => AttemptFailure.Credential,
        501 or 505 => AttemptFailure.None,
        408 or >= 500 => AttemptFailure.ServerError,
        _ => AttemptFailure.None,
    };

    /// <summary>What the HTTP client's failure says, before or behind the answer's first byte.</summary>
    public static AttemptFailure OfException(Exception e, bool hasBegun) => (e as HttpRequestException)?.HttpRequestError switch
    {
        HttpRequestError.NameResolutionError => AttemptFailure.Dns,
        HttpRequestError.SecureConnectionError => AttemptFailure.Tls,
        HttpRequestError.ConnectionError => AttemptFailure.Connect,
        _ => hasBegun ? AttemptFailure.Cut : AttemptFailure.Reset,
    };
}
