using System.Net;

namespace ValueCanvas.Core.Webhooks;

/// <summary>Configuration section <c>Webhooks</c>, of Api and Worker.</summary>
public sealed class WebhookOptions
{
    public const string Section = "Webhooks";

    /// <summary>Networks in CIDR notation that may be delivered to although they are not the internet, for development.</summary>
    public List<string> AllowedNetworks { get; set; } = [];

    /// <summary>How often a worker looks for deliveries.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Deliveries that a worker has under way at the same time.</summary>
    public int Concurrency { get; set; } = 16;

    /// <summary>Those to one endpoint, about, over all workers.</summary>
    public int PerEndpoint { get; set; } = 4;

    /// <summary>For an endpoint to answer, connecting included.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>After so many attempts a delivery is dead.</summary>
    public int MaxAttempts { get; set; } = 14;

    /// <summary>Between the first two attempts; three times as long between the following ones, and so on.</summary>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(5);

    public TimeSpan MaxRetryDelay { get; set; } = TimeSpan.FromHours(4);

    /// <summary>An endpoint at which nothing has succeeded for so long is disabled.</summary>
    public TimeSpan DisableAfter { get; set; } = TimeSpan.FromDays(5);

    /// <summary>How long deliveries are kept after their end.</summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(14);

    /// <summary>What is wrong, in messages that name the key.</summary>
    public IEnumerable<string> Problems()
    {
        foreach (var (index, network) in AllowedNetworks.Index())
        {
            if (!IPNetwork.TryParse(network, out _))
                yield return $"{Section}:{nameof(AllowedNetworks)}:{index} must be a network such as 10.0.0.0/8.";
        }

        foreach (var (key, value) in new[]
        {
            (nameof(Concurrency), Concurrency), (nameof(PerEndpoint), PerEndpoint), (nameof(MaxAttempts), MaxAttempts),
        })
        {
            if (value is < 1 or > 1000)
                yield return $"{Section}:{key} must be between 1 and 1000.";
        }

        foreach (var (key, value) in new[]
        {
            (nameof(PollInterval), PollInterval), (nameof(Timeout), Timeout), (nameof(RetryDelay), RetryDelay),
            (nameof(MaxRetryDelay), MaxRetryDelay),
        })
        {
            if (value <= TimeSpan.Zero || value > TimeSpan.FromDays(1))
                yield return $"{Section}:{key} must be positive and at most a day.";
        }

        foreach (var (key, value) in new[] { (nameof(DisableAfter), DisableAfter), (nameof(Retention), Retention) })
        {
            if (value < TimeSpan.FromHours(1))
                yield return $"{Section}:{key} must be at least an hour.";
        }
    }
}
