using System.Net.Http.Headers;
using ValueCanvas.InferenceProxy.Callers;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Operations;

/// <summary>Who may act: whoever sends <c>Authorization: Bearer</c> with <c>Inference:OperatorKey</c>. Without such a key nobody
/// may.</summary>
internal static class OperatorKey
{
    private static readonly ProxyError NotConfigured = new(
        StatusCodes.Status403Forbidden, "permission_error", "operator_key_not_configured", null,
        "Operator actions are switched off. Set Inference:OperatorKey (16 characters or more) at every proxy, and send it as "
        + "'Authorization: Bearer KEY'.");

    private static readonly ProxyError Refused = new(
        StatusCodes.Status401Unauthorized, "authentication_error", "invalid_operator_key", null,
        "This takes the operator's key, the value of Inference:OperatorKey: send it as 'Authorization: Bearer KEY'.");

    public static ProxyError? Check(HttpContext context, InferenceOptions options)
    {
        if (string.IsNullOrEmpty(options.OperatorKey))
            return NotConfigured;

        var proven = AuthenticationHeaderValue.TryParse(context.Request.Headers.Authorization, out var given)
            && given.Scheme.Equals("Bearer", StringComparison.OrdinalIgnoreCase)
            && Secret.IsMatch(given.Parameter, options.OperatorKey);
        if (proven)
            return null;

        context.Response.Headers.WWWAuthenticate = "Bearer";
        return Refused;
    }
}
