using ValueCanvas.Api.Authentication;

namespace ValueCanvas.Api.Audit;

/// <summary>Who a request is from, as the log has it.</summary>
internal static class AuditCaller
{
    /// <summary>The tenant and the actor; a request whose caller was not recognised belongs to no tenant.</summary>
    public static (Guid? Tenant, AuditActor Actor) Of(HttpContext context)
    {
        if (Caller.Find(context) is not { } caller)
            return (null, AuditActor.Anonymous);
        var id = (caller.UserId ?? caller.ApiKeyId)?.ToString();
        var kind = caller.UserId is null ? AuditActor.ApiKeyKind : AuditActor.UserKind;
        return (caller.TenantId, caller.IsOperator ? AuditActor.Operator(id) : new(kind, id));
    }
}
