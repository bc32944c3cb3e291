namespace ValueCanvas.Core.Database;

/// <summary>Tenants that exist in every installation.</summary>
public static class Tenants
{
    /// <summary>The operator's, who owns what was there before accounts were; the first migration inserts it.</summary>
    public static readonly Guid Development = new("00000000-0000-0000-0000-000000000001");
}
