using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Webhooks;

/// <summary>
/// An endpoint; <c>secret</c> only where it is new. <c>disabledReason</c> says why the system has disabled it (<c>failing</c>,
/// <c>gone</c>), <c>failingSince</c> since when nothing has succeeded.
/// </summary>
internal sealed record WebhookData(
    Guid Id,
    string Url,
    string? Description,
    IReadOnlyList<string> Events,
    bool Enabled,
    string? DisabledReason,
    DateTimeOffset? FailingSince,
    DateTimeOffset? PreviousSecretUntil,
    DateTimeOffset CreatedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Secret)
{
    public static WebhookData From(WebhookRow row, string? secret = null) => new(
        row.Id, row.Url, row.Description, row.Events, row.Enabled, row.DisabledReason, row.FailingSince, row.PreviousUntil, row.CreatedAt,
        secret);
}

internal sealed record WebhookList(IReadOnlyList<WebhookData> Items);

/// <summary>
/// A message to an endpoint: its id (which it is sent under), what it is about, how far it is (<c>pending</c>, <c>delivered</c>,
/// <c>dead</c>), and how the last attempt went.
/// </summary>
internal sealed record DeliveryData(
    Guid Id,
    Guid? JobId,
    string Event,
    string Status,
    int Attempts,
    DateTimeOffset? NextAttemptAt,
    int? LastStatus,
    string? LastError,
    DateTimeOffset CreatedAt,
    DateTimeOffset? FinishedAt,
    JsonElement Payload)
{
    public static DeliveryData From(DeliveryRow row)
    {
        using var payload = JsonDocument.Parse(row.Payload);
        return new(
            row.Id, row.JobId, row.Event, row.State, row.Attempts, row.State == "pending" ? row.NextAt : null, row.LastStatus,
            row.LastError, row.CreatedAt, row.FinishedAt, payload.RootElement.Clone());
    }
}

/// <summary>A page of the list; <c>nextCursor</c> asks for the following one and is null on the last.</summary>
internal sealed record DeliveryPage(IReadOnlyList<DeliveryData> Items, string? NextCursor);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(WebhookBody))]
[JsonSerializable(typeof(Envelope<WebhookData>))]
[JsonSerializable(typeof(Envelope<WebhookList>))]
[JsonSerializable(typeof(Envelope<DeliveryData>))]
[JsonSerializable(typeof(Envelope<DeliveryPage>))]
internal sealed partial class WebhookContext : JsonSerializerContext;
