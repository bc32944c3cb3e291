using System.Security.Cryptography;
using System.Text;
using StackExchange.Redis;

namespace ValueCanvas.Core.Redis;

/// <summary>A script, called by its hash; a server that does not know it (restarted, flushed) gets its text once more.</summary>
public sealed class RedisScript
{
    private readonly string _text;
    private readonly byte[] _hash;

    public RedisScript(string text)
    {
        _text = text;
#pragma warning disable CA5350 // Redis names scripts by SHA-1.
        _hash = SHA1.HashData(Encoding.UTF8.GetBytes(_text));
#pragma warning restore CA5350
    }

    /// <summary>Not bounded: go through a <see cref="RedisGate"/>.</summary>
    public async Task<RedisResult> RunAsync(IDatabase database, RedisKey[] keys, RedisValue[] values)
    {
        try
        {
            return await database.ScriptEvaluateAsync(_hash, keys, values);
        }
        catch (RedisServerException e) when (e.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
        {
            return await database.ScriptEvaluateAsync(_text, keys, values);
        }
    }
}
