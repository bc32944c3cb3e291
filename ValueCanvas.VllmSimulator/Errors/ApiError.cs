namespace ValueCanvas.VllmSimulator.Errors;

/// <summary>A refused request in vLLM's shape: <c>{"error":{"message","type","param","code"}}</c>, code being the status.</summary>
internal sealed record ApiError(int Status, string Type, string Message, string? Param = null)
{
    public static ApiError BadRequest(string message, string? param = null) => new(StatusCodes.Status400BadRequest, "BadRequestError", message, param);

    public static ApiError UnknownModel(string model) =>
        new(StatusCodes.Status404NotFound, "NotFoundError", $"The model `{model}` does not exist.", "model");

    public static ApiError TooLarge(string message) => new(StatusCodes.Status413PayloadTooLarge, "BadRequestError", message);
}
