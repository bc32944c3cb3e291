using System.Net;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Webhooks;

namespace ValueCanvas.Api.Webhooks;

/// <summary>Body of <c>POST /api/queue/webhooks</c> and <c>PUT /api/queue/webhooks/{id}</c>; without events it hears of all.</summary>
internal sealed record WebhookBody(string? Url, IReadOnlyList<string?>? Events, string? Description, bool? Enabled) : IRequestBody
{
    private const int LongestUrl = 2048;
    private const int LongestDescription = 200;

    public void Validate(RequestErrors errors)
    {
        if (Parse(Url) is not { } url)
            errors.Add("url", $"must be a URL with http or https, at most {LongestUrl} characters, no user information and no fragment");
        else if (url.HostNameType is UriHostNameType.Unknown or UriHostNameType.Basic)
            errors.Add("url", "must name a host, or its address");
        if (Events is { Count: 0 } || Events?.Any(name => name is null || !WebhookEvents.All.Contains(name)) is true)
            errors.Add("events", $"must be some of {string.Join(", ", WebhookEvents.All)}; left out, all are meant");
        if (Description is not null && (Description.Length > LongestDescription || Description.Any(char.IsControl)))
            errors.Add("description", $"must have at most {LongestDescription} characters, none of them a control character");
    }

    /// <summary>Of a body that is valid.</summary>
    public string[] EventNames() => Events is null ? [.. WebhookEvents.All] : [.. Events.OfType<string>().Distinct()];

    /// <summary>The address that the URL names literally; null where it names a host, which is looked at when it is delivered to.</summary>
    public IPAddress? Address() => IPAddress.TryParse(Parse(Url)?.IdnHost.Trim('[', ']'), out var address) ? address : null;

    private static Uri? Parse(string? text) =>
        text is { Length: > 0 and <= LongestUrl } && !text.Any(c => char.IsControl(c) || char.IsWhiteSpace(c))
        && Uri.TryCreate(text, UriKind.Absolute, out var url)
        && url is { Scheme: "http" or "https", UserInfo.Length: 0, Fragment.Length: 0 }
            ? url
            : null;
}
