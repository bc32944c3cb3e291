namespace ValueCanvas.Core.Database;

/// <summary>Tenants that exist in every installation.</summary>
public static class Tenants
{
    /// <summary>The one tenant that requests belong to until accounts exist; the first migration inserts it.</summary>
    public static readonly Guid Development = new("00000000-0000-0000-0000-000000000001");
}
