using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Audit;

/// <summary>Who a request is from, as the log has it.</summary>
internal static class AuditCaller
{
    public static (Guid? Tenant, AuditActor Actor) Of(HttpContext context) => (Tenants.Development, AuditActor.Anonymous);
}
