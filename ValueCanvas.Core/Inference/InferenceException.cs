namespace ValueCanvas.Core.Inference;

/// <summary>Why a call to a model failed; a closed set, mapped to HTTP in one place by the Api and to an outcome by the worker.</summary>
public enum InferenceFailure
{
    /// <summary>The proxy or every model server is away, or the answer broke off. Trying again later can help.</summary>
    Unavailable,

    /// <summary>The proxy or a model server is full; <see cref="InferenceException.RetryAfter"/> says when to come back.</summary>
    RateLimited,

    /// <summary>The tenant's, or the API key's, budget is used up; the message says until when.</summary>
    BudgetExceeded,

    /// <summary>No answer, no first event, or no further event within its bound.</summary>
    Timeout,

    /// <summary>The request itself is wrong for this model (for example too long); the message says what to change.</summary>
    BadRequest,

    /// <summary>Nothing serves the model that was asked for.</summary>
    ModelNotFound,

    /// <summary>The model answered, but not with what was asked for (unreadable, or not valid against the schema).</summary>
    InvalidAnswer,

    /// <summary>The tenant has keys of model providers that cannot be opened, and its requests go out under no others.</summary>
    KeysUnreadable,
}

/// <summary>A model call that failed. The message is meant for the caller of the API and holds no prompt and no secret.</summary>
public sealed class InferenceException : Exception
{
    public InferenceException(InferenceFailure kind, string message, Exception? innerException = null, TimeSpan? retryAfter = null)
        : base(message, innerException)
    {
        Kind = kind;
        RetryAfter = retryAfter;
    }

    public InferenceFailure Kind { get; }

    /// <summary>How long the refusing side asked to wait; null where it did not say.</summary>
    public TimeSpan? RetryAfter { get; }

    /// <summary>
    /// True where no model has seen the request, because the proxy could not be reached or has nobody to ask: it says nothing about the
    /// request.
    /// </summary>
    public bool IsOutage { get; init; }

    /// <summary>
    /// True where the same request can succeed later without a change. An invalid answer counts: models are not deterministic.
    /// </summary>
    public bool IsTransient =>
        Kind is not (InferenceFailure.BadRequest or InferenceFailure.ModelNotFound or InferenceFailure.BudgetExceeded);
}
