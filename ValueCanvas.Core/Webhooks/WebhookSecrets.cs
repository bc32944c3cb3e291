using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Core.Webhooks;

/// <summary>Secrets of endpoints: shown once as <c>whsec_</c> and Base64, stored sealed for their endpoint.</summary>
public sealed class WebhookSecrets(IOptions<WebhookOptions> options)
{
    private const string Prefix = "whsec_";
    private const string Purpose = "webhook secrets";
    private const int Bytes = 32;

    private readonly SecretBox? _box = options.Value.SecretKey is { Length: > 0 } key
        ? new SecretBox(Options.Create(new SecretOptions { SecretKey = key }))
        : null;

    /// <summary>False: there is nothing to seal them with, so there are no webhooks.</summary>
    public bool AreConfigured => _box is not null;

    /// <summary>A new one: its text, and what is stored of it.</summary>
    public (string Text, byte[] Sealed) Create(Guid tenantId, Guid endpointId)
    {
        var key = RandomNumberGenerator.GetBytes(Bytes);
        return (Prefix + Convert.ToBase64String(key), Box.Seal(Purpose, Row(tenantId, endpointId), key));
    }

    /// <summary>The key to sign with.</summary>
    /// <exception cref="CryptographicException">It was sealed with another secret, or for another endpoint.</exception>
    public byte[] Open(Guid tenantId, Guid endpointId, byte[] box) => Box.Open(Purpose, Row(tenantId, endpointId), box);

    private SecretBox Box => _box
        ?? throw new InvalidOperationException($"{WebhookOptions.Section}:{nameof(WebhookOptions.SecretKey)} is not set.");

    private static string Row(Guid tenantId, Guid endpointId) => $"{tenantId}/{endpointId}";
}
