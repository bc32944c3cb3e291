using System.Security.Cryptography;
using System.Text;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// What PostgreSQL stores for a password (RFC 5803). Sent instead of the password, so that no statement, server log or
/// statistics view ever holds it; and its alphabet needs no quoting.
/// </summary>
internal static class ScramVerifier
{
    private const int Iterations = 4096;
    private const int SaltBytes = 16;

    /// <returns><c>SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey</c></returns>
    public static string Create(string password)
    {
        // Npgsql sends the password in this normal form; for ASCII it changes nothing.
        var normalized = Encoding.UTF8.GetBytes(password.Normalize(NormalizationForm.FormKC));
        var salt = RandomNumberGenerator.GetBytes(SaltBytes);
        var salted = Rfc2898DeriveBytes.Pbkdf2(normalized, salt, Iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        var storedKey = SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8));
        var serverKey = HMACSHA256.HashData(salted, "Server Key"u8);
        return $"SCRAM-SHA-256${Iterations}:{Convert.ToBase64String(salt)}"
            + $"${Convert.ToBase64String(storedKey)}:{Convert.ToBase64String(serverKey)}";
    }
}
