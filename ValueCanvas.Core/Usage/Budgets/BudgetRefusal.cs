using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>Why a call is not made.</summary>
internal sealed record BudgetRefusal(Budget Budget, decimal Spent, DateTimeOffset? ResetsAt, TimeSpan? Wait)
{
    /// <summary>Its code in an error object.</summary>
    public const string Code = "budget_exceeded";

    public string Message => string.Create(CultureInfo.InvariantCulture,
        $"The budget of {Whose} is used up: {Spent:0.####} of {Budget.Amount:0.####} US dollars{Period}. {Until}");

    private string Whose => Budget.ApiKeyId is null ? "your organisation" : "this API key";

    private string Period => Budget.Period == BudgetPeriod.Total ? "" : $" for this {Budget.Period.ToName()}";

    private string Until => ResetsAt is { } at
        ? string.Create(CultureInfo.InvariantCulture, $"It begins anew at {at:yyyy-MM-dd'T'HH:mm:ss'Z'}.")
        : "It has to be raised.";

    /// <summary>In the words that OpenAI uses for an account that is used up.</summary>
    public HttpResponseMessage ToResponse(HttpRequestMessage request)
    {
        var response = new HttpResponseMessage(HttpStatusCode.TooManyRequests)
        {
            RequestMessage = request,
            Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(
                new RefusalBody(new(Message, "insufficient_quota", null, Code)), RefusalContext.Default.RefusalBody)),
        };
        response.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        response.Headers.TryAddWithoutValidation("x-should-retry", "false");
        if (Wait is { } wait)
            response.Headers.RetryAfter = new RetryConditionHeaderValue(TimeSpan.FromSeconds(Math.Ceiling(wait.TotalSeconds)));
        return response;
    }
}

internal sealed record RefusalBody(RefusalError Error);

internal sealed record RefusalError(string Message, string Type, string? Param, string Code);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RefusalBody))]
internal sealed partial class RefusalContext : JsonSerializerContext;
