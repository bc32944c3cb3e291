using System.Security.Cryptography;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Core.Webhooks;

/// <summary>Secrets of endpoints: shown once as <c>whsec_</c> and Base64, stored sealed for their endpoint.</summary>
public sealed class WebhookSecrets(SecretBox box)
{
    private const string Prefix = "whsec_";
    private const string Purpose = "webhook secrets";
    private const int Bytes = 32;

    /// <summary>False: there is nothing to open them with.</summary>
    public bool AreConfigured => box.IsConfigured;

    /// <summary>A new one: its text, and what is stored of it.</summary>
    public (string Text, byte[] Sealed) Create(Guid tenantId, Guid endpointId)
    {
        var key = RandomNumberGenerator.GetBytes(Bytes);
        return (Prefix + Convert.ToBase64String(key), box.Seal(Purpose, Row(tenantId, endpointId), key));
    }

    /// <summary>The key to sign with.</summary>
    /// <exception cref="CryptographicException">It was sealed with another secret, or for another endpoint.</exception>
    public byte[] Open(Guid tenantId, Guid endpointId, byte[] secret) => box.Open(Purpose, Row(tenantId, endpointId), secret);

    private static string Row(Guid tenantId, Guid endpointId) => $"{tenantId}/{endpointId}";
}
