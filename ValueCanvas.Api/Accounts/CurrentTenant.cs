using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Accounts;

/// <summary>On whose behalf a request runs; an endpoint asks for it as a parameter.</summary>
internal sealed record CurrentTenant(Guid Id)
{
    /// <summary>Until there are accounts, everyone is the development tenant.</summary>
    public static ValueTask<CurrentTenant?> BindAsync(HttpContext context) =>
        ValueTask.FromResult<CurrentTenant?>(new(Tenants.Development));
}
