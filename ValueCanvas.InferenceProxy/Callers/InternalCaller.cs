using System.Globalization;
using Microsoft.Extensions.Primitives;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Callers;

/// <summary>
/// What Api and Worker say about a request. It is believed only beside the secret that they share with the proxy
/// (<c>Inference:InternalKey</c>); anyone else's words are not even read.
/// </summary>
internal readonly struct InternalCaller
{
    public const string KeyHeader = "x-valuecanvas-internal";
    public const string TenantHeader = "x-valuecanvas-tenant";
    public const string PriorityHeader = "x-valuecanvas-priority";
    public const string DeadlineHeader = "x-valuecanvas-deadline";
    public const string RiskHeader = "x-valuecanvas-risk";

    private readonly IHeaderDictionary? _headers;

    private InternalCaller(IHeaderDictionary headers) => _headers = headers;

    public bool IsProven => _headers is not null;

    /// <summary>On whose behalf it asks; null where it did not prove itself. What it leaves out or garbles is as for anybody.</summary>
    public Caller? Caller => !IsProven
        ? null
        : new Caller(
            Text(TenantHeader) ?? "",
            Enum.TryParse<Priority>(Text(PriorityHeader), ignoreCase: true, out var priority) && Enum.IsDefined(priority)
                ? priority
                : Priority.Normal,
            DateTimeOffset.TryParse(Text(DeadlineHeader), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var deadline)
                ? deadline
                : null)
        {
            Keys = TenantKeys.Of(_headers!),
        };

    public static InternalCaller Of(HttpRequest request, InferenceOptions options) =>
        request.Headers.TryGetValue(KeyHeader, out var given) && Matches(given, options.InternalKey) ? new(request.Headers) : default;

    /// <summary>The risk level, null where none is given; or what is wrong with it.</summary>
    public ProxyError? ReadRisk(out RiskLevel? risk)
    {
        risk = null;
        if (Text(RiskHeader) is not { } text)
            return null;

        if (!RiskLevels.TryParse(text, out var level))
        {
            return ProxyError.BadRequest(
                $"The header {RiskHeader}, or the field risk_level, must be {RiskLevels.Names}.", code: "invalid_risk");
        }

        risk = level;
        return null;
    }

    private static bool Matches(StringValues given, string? expected) =>
        given.Count == 1 && Secret.IsMatch(given[0], expected);

    private string? Text(string header) =>
        _headers is not null && _headers.TryGetValue(header, out var text) && text is [{ Length: > 0 } value, ..] ? value : null;
}
