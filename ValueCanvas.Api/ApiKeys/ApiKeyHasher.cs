using System.Security.Cryptography;
using System.Text;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.ApiKeys;

/// <summary>What is stored of a key: whoever reads the database alone can neither use a hash nor try keys against it.</summary>
internal sealed class ApiKeyHasher(SecretBox secrets)
{
    private readonly byte[] _pepper = secrets.DeriveKey("api-keys");

    public byte[] Hash(string key) => HMACSHA256.HashData(_pepper, Encoding.UTF8.GetBytes(key));
}
