using System.Security.Cryptography;
using System.Text;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>One key of one provider. What is shown of it is its fingerprint alone.</summary>
internal sealed class Credential(string secret, TimeProvider time)
{
    private Disabling? _disabled;

    public string Secret { get; } = secret;

    public string Fingerprint { get; } = FingerprintOf(secret);

    /// <summary>Since when and with which status the provider has refused the key; null while it is usable.</summary>
    public Disabling? Disabled => Volatile.Read(ref _disabled) is { } disabled && time.GetUtcNow() < disabled.Until ? disabled : null;

    /// <summary>Eight hexadecimal digits by which a secret can be told from others, and not be found.</summary>
    public static string FingerprintOf(string secret) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)).AsSpan(0, 4));

    /// <summary>The provider has refused the key: it rests before it is tried again.</summary>
    public void Disable(int status, TimeSpan rest)
    {
        var now = time.GetUtcNow();
        Volatile.Write(ref _disabled, new Disabling(status, now, now + rest));
    }

    /// <summary>A tenant's own: it is known to one request alone, and nothing of it is shown.</summary>
    public bool IsTenants { get; init; }

    public override string ToString() => IsTenants ? "of a tenant" : Fingerprint;

    internal sealed record Disabling(int Status, DateTimeOffset Since, DateTimeOffset Until);
}

/// <summary>The keys of one provider, which take turns.</summary>
internal sealed class CredentialPool(Credential[] credentials)
{
    private uint _turn;

    public IReadOnlyList<Credential> All => credentials;

    /// <summary>There are keys, and the provider refuses every one of them.</summary>
    public bool IsExhausted => credentials.Length > 0 && Array.TrueForAll(credentials, c => c.Disabled is not null);

    /// <summary>The next usable key, or null where there is none.</summary>
    public Credential? Take()
    {
        if (credentials.Length == 0)
            return null;

        var start = (int)(Interlocked.Increment(ref _turn) % (uint)credentials.Length);
        for (var i = 0; i < credentials.Length; i++)
        {
            if (credentials[(start + i) % credentials.Length] is { Disabled: null } usable)
                return usable;
        }

        return null;
    }
}
