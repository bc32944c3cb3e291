namespace ValueCanvas.Core.Webhooks;

/// <summary>What endpoints can hear of; the names in the database and on the wire.</summary>
public static class WebhookEvents
{
    /// <summary>Sent when somebody asks for it, whatever the endpoint listens to.</summary>
    public const string Test = "webhook.test";

    /// <summary>One for each final state of a job.</summary>
    public static readonly IReadOnlyList<string> All = ["job.succeeded", "job.failed", "job.cancelled"];
}
