using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>A budget in one of its periods, as instances call it among each other.</summary>
/// <param name="Key">Begins its keys in Redis; those of one tenant have one hash tag, so that a cluster keeps them in one place.</param>
/// <param name="Number">The same, short.</param>
internal readonly record struct AccountName(string Key, long Number)
{
    public static AccountName Of(Budget budget, DateOnly start)
    {
        var key = string.Create(
            CultureInfo.InvariantCulture,
            $"valuecanvas:spent:{{{budget.TenantId:N}}}:{budget.Subject}:{start:yyyyMMdd}:{budget.Period.ToName()}");
        return new(key, BinaryPrimitives.ReadInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(key))));
    }
}
