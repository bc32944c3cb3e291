using System.Security.Cryptography;
using System.Text;
using StackExchange.Redis;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>A script, called by its hash; a server that does not know it (restarted, flushed) gets its text once more.</summary>
internal sealed class RedisScript
{
    private readonly string _text;
    private readonly byte[] _hash;

    private RedisScript(string name)
    {
        _text = Read("common") + Read(name);
#pragma warning disable CA5350 // Redis names scripts by SHA-1.
        _hash = SHA1.HashData(Encoding.UTF8.GetBytes(_text));
#pragma warning restore CA5350
    }

    public static RedisScript Charge { get; } = new("charge");

    public static RedisScript Settle { get; } = new("settle");

    public static RedisScript Renew { get; } = new("renew");

    public static RedisScript Heartbeat { get; } = new("heartbeat");

    public async Task<long[]> RunAsync(IDatabase database, RedisKey[] keys, RedisValue[] values)
    {
        try
        {
            return Numbers(await database.ScriptEvaluateAsync(_hash, keys, values));
        }
        catch (RedisServerException e) when (e.Message.StartsWith("NOSCRIPT", StringComparison.Ordinal))
        {
            return Numbers(await database.ScriptEvaluateAsync(_text, keys, values));
        }
    }

    private static long[] Numbers(RedisResult result) => (long[]?)result ?? [];

    private static string Read(string name)
    {
        using var stream = typeof(RedisScript).Assembly.GetManifestResourceStream($"limits.{name}.lua")
            ?? throw new InvalidOperationException($"The script {name} is not in the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd() + "\n";
    }
}
