using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Chat;

/// <summary>Body of <c>POST /api/llm/chat</c> and <c>POST /generate</c>: either a prompt or messages, the rest is optional.</summary>
internal sealed record ChatBody(
    string? Prompt,
    IReadOnlyList<ChatBodyMessage?>? Messages,
    string? Model,
    string? System,
    double? Temperature,
    int? MaxTokens,
    bool? Stream,
    string? RiskLevel,
    string? UserId) : IRequestBody
{
    private const int MaxTokensLimit = 1_000_000;
    private const int MaxNameLength = 256;

    private static readonly string[] Roles = ["system", "user", "assistant"];
    private static readonly string[] RiskLevels = ["low", "medium", "high", "critical"];

    public void Validate(RequestErrors errors)
    {
        if (Prompt is null && Messages is null)
            errors.Add("prompt", "is required, unless messages are given");
        if (Prompt is not null && Messages is not null)
            errors.Add("prompt", "must not be given together with messages; put it into the last message");
        if (Prompt is not null && string.IsNullOrWhiteSpace(Prompt))
            errors.Add("prompt", "must not be empty");
        if (Messages is not null)
            ValidateMessages(Messages, errors);

        ValidateName("model", Model, errors);
        ValidateName("userId", UserId, errors);
        if (Temperature is < 0 or > 2)
            errors.Add("temperature", "must be between 0 and 2");
        if (MaxTokens is < 1 or > MaxTokensLimit)
            errors.Add("maxTokens", $"must be between 1 and {MaxTokensLimit}");
        if (RiskLevel is not null && !RiskLevels.Contains(RiskLevel))
            errors.Add("riskLevel", $"must be one of: {string.Join(", ", RiskLevels)}");
    }

    public ChatRequest ToRequest(InferenceCall call)
    {
        List<ChatMessage> messages = [];
        if (!string.IsNullOrWhiteSpace(System))
            messages.Add(new("system", System));
        messages.AddRange(Messages?.Select(message => new ChatMessage(message!.Role!, message.Content!)) ?? [new("user", Prompt!)]);
        return new ChatRequest(messages)
        {
            Model = Model ?? ChatRequest.DefaultModel,
            Temperature = Temperature,
            MaxTokens = MaxTokens,
            User = UserId,
            Call = call,
            RiskLevel = RiskLevel,
        };
    }

    private static void ValidateMessages(IReadOnlyList<ChatBodyMessage?> messages, RequestErrors errors)
    {
        if (messages.Count == 0)
            errors.Add("messages", "must have at least one message");
        for (var i = 0; i < messages.Count; i++)
        {
            if (messages[i] is not { } message)
            {
                errors.Add($"messages[{i}]", "must be an object with role and content");
                continue;
            }

            if (!Roles.Contains(message.Role))
                errors.Add($"messages[{i}].role", $"must be one of: {string.Join(", ", Roles)}");
            if (string.IsNullOrEmpty(message.Content))
                errors.Add($"messages[{i}].content", "must not be empty");
        }
    }

    private static void ValidateName(string field, string? value, RequestErrors errors)
    {
        if (value is null)
            return;
        if (string.IsNullOrWhiteSpace(value))
            errors.Add(field, "must not be empty; leave it out for the default");
        else if (value.Length > MaxNameLength)
            errors.Add(field, $"must have at most {MaxNameLength} characters");
    }
}

internal sealed record ChatBodyMessage(string? Role, string? Content);
