using System.Globalization;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Accounts.Tenants;

/// <summary>Ids in paths. A tenant other than the caller's is not there, whoever belongs to it: a token works in one tenant.</summary>
internal static class TenantPath
{
    /// <exception cref="RequestException">404.</exception>
    public static void Check(string tenantId, Caller caller)
    {
        if (!Guid.TryParse(tenantId, CultureInfo.InvariantCulture, out var id) || id != caller.TenantId)
        {
            throw RequestException.NotFound(
                "This request does not run in such a tenant. GET /api/tenants lists yours; "
                + "POST /api/auth/refresh with tenantId goes on in another.");
        }
    }

    /// <exception cref="RequestException">404.</exception>
    public static Guid Id(string text, string what) => Guid.TryParse(text, CultureInfo.InvariantCulture, out var id)
        ? id
        : throw RequestException.NotFound($"There is no {what} with this id in the tenant.");
}
