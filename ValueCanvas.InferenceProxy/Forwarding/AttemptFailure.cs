namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Why an attempt gave no complete answer: a closed set, also the label of metrics and spans.</summary>
internal enum AttemptFailure
{
    None,

    /// <summary>No connection: refused, unreachable, unknown name, TLS.</summary>
    Connect,

    /// <summary>The connection broke before the first byte of the answer.</summary>
    Reset,

    /// <summary>Nothing came within the first-byte or total limit.</summary>
    Timeout,

    /// <summary>The provider refused the proxy's key (401, 402, 403).</summary>
    Credential,

    /// <summary>The provider asked for a pause (429).</summary>
    RateLimited,

    /// <summary>The answer broke after its first byte.</summary>
    Cut,

    /// <summary>The answer stalled after its first byte.</summary>
    Stall,

    /// <summary>The client went away. Nobody's fault.</summary>
    ClientGone,
}

internal static class AttemptFailureNames
{
    public static string Label(this AttemptFailure failure) => failure switch
    {
        AttemptFailure.Connect => "connect",
        AttemptFailure.Reset => "reset",
        AttemptFailure.Timeout => "timeout",
        AttemptFailure.Credential => "credential",
        AttemptFailure.RateLimited => "rate_limited",
        AttemptFailure.Cut => "cut",
        AttemptFailure.Stall => "stall",
        AttemptFailure.ClientGone => "client_gone",
        _ => "none",
    };
}
