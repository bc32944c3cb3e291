using StackExchange.Redis;
using Script = ValueCanvas.Core.Redis.RedisScript;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>The scripts of the limits.</summary>
internal sealed class RedisScript
{
    private readonly Script _script;

    private RedisScript(string name) => _script = new Script(Read("common") + Read(name));

    public static RedisScript Charge { get; } = new("charge");

    public static RedisScript Settle { get; } = new("settle");

    public static RedisScript Renew { get; } = new("renew");

    public static RedisScript Heartbeat { get; } = new("heartbeat");

    public async Task<long[]> RunAsync(IDatabase database, RedisKey[] keys, RedisValue[] values) =>
        (long[]?)await _script.RunAsync(database, keys, values) ?? [];

    /// <summary>The answer of one that packs it.</summary>
    public async Task<byte[]> AskAsync(IDatabase database, RedisKey[] keys, RedisValue[] values) =>
        (byte[]?)await _script.RunAsync(database, keys, values) ?? [];

    private static string Read(string name)
    {
        using var stream = typeof(RedisScript).Assembly.GetManifestResourceStream($"limits.{name}.lua")
            ?? throw new InvalidOperationException($"The script {name} is not in the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd() + "\n";
    }
}
