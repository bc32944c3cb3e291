namespace ValueCanvas.Api.Errors;

/// <summary>The request cannot be taken as it is: a 4xx whose text says what to change.</summary>
internal sealed class RequestException(int status, string message, IReadOnlyDictionary<string, string[]>? errors = null)
    : Exception(message)
{
    public int Status => status;

    /// <summary>What is wrong, by field; null where no field is to blame.</summary>
    public IReadOnlyDictionary<string, string[]>? Errors => errors;

    /// <summary>The failure's code where the status alone does not say it.</summary>
    public string? Code { get; init; }

    /// <summary>When the same request may succeed, where that is known.</summary>
    public TimeSpan? RetryAfter { get; init; }

    public static RequestException Invalid(IReadOnlyDictionary<string, string[]> errors) =>
        new(StatusCodes.Status400BadRequest, $"The request is not valid: {errors.First().Key} {errors.First().Value[0]}.", errors);

    public static RequestException Invalid(string field, string problem) =>
        Invalid(new Dictionary<string, string[]> { [field] = [problem] });

    public static RequestException NotFound(string message) => new(StatusCodes.Status404NotFound, message);
}
