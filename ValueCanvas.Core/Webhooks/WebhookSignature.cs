using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ValueCanvas.Core.Webhooks;

/// <summary>Standard Webhooks 1.0: HMAC-SHA256 over id, time and body.</summary>
public static class WebhookSignature
{
    /// <summary>The value of <c>webhook-signature</c>: one signature for each key, so that a receiver may know either.</summary>
    /// <param name="keys">The secrets' bytes, the newest first.</param>
    /// <param name="id">As in <c>webhook-id</c>.</param>
    /// <param name="timestamp">As in <c>webhook-timestamp</c>: seconds since 1970.</param>
    /// <param name="body">What is sent.</param>
    public static string Sign(IEnumerable<byte[]> keys, string id, long timestamp, ReadOnlySpan<byte> body)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{timestamp}.")), .. body];
        return string.Join(' ', keys.Select(key => $"v1,{Convert.ToBase64String(HMACSHA256.HashData(key, signed))}"));
    }
}
