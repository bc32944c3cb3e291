using System.Security.Cryptography;
using System.Text;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>
/// The salt under which a tenant's prompts stand in a server's prefix cache, so that nobody learns from response times what another tenant
/// has asked. It is derived: a server sees tenants apart, but not who they are.
/// </summary>
internal static class CacheSalt
{
    private const int Bytes = 16;

    /// <summary>Adds the salt, where the server knows the field, the caller's tenant is proven, and the client has set none.</summary>
    public static void Splice(
        ReadOnlySpan<byte> body, in PromptFields fields, ProviderKind kind, Caller caller, string? key, List<BodyEdit> edits)
    {
        if (kind != ProviderKind.Vllm || caller.Tenant.Length == 0 || string.IsNullOrEmpty(key) || !fields.Salt.Equals(default))
            return;

        var first = body.IndexOf((byte)'{') + 1;
        edits.Add(new BodyEdit(first, first, Encoding.ASCII.GetBytes($"\"cache_salt\":\"{Of(caller.Tenant, key)}\",")));
    }

    private static string Of(string tenant, string key)
    {
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes($"cache_salt:{tenant}"), hash);
        return Convert.ToHexStringLower(hash[..Bytes]);
    }
}
