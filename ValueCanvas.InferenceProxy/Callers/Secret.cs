using System.Security.Cryptography;
using System.Text;

namespace ValueCanvas.InferenceProxy.Callers;

internal static class Secret
{
    /// <summary>Compares in a time that tells nothing of the secret. One that is not configured is matched by nobody.</summary>
    public static bool IsMatch(string? given, string? expected) => !string.IsNullOrEmpty(expected)
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given ?? ""), Encoding.UTF8.GetBytes(expected));
}
