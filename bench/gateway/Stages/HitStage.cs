using System.Text.Json.Nodes;
using ValueCanvas.GatewayBench.Load;
using ValueCanvas.ProxyBench;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.GatewayBench.Stages;

/// <summary>
/// Hits of the first level (one chat, again and again, at one instance) and of the second (chats that the other instance has kept, each
/// asked once here), and the first level's at half of its maximum, open loop.
/// </summary>
internal static class HitStage
{
    private const int Connections = 64;

    public static async Task<JsonObject> RunAsync(Settings settings, Target keeper, Target reader, CancellationToken cancellationToken)
    {
        var hot = Bodies.Cacheable(0);
        var second = settings.Quick ? 500 : 20_000;

        // 1. Both instances run warm on others.
        await new BodyLoad(reader, i => Bodies.Cacheable(1_000_000 + i), 16).RunAsync(settings.Quick ? 200 : 4000, cancellationToken);

        // 2. Second level: kept by one instance, asked of the other.
        var filled = await new BodyLoad(keeper, i => Bodies.Cacheable(i), Connections).RunAsync(second, cancellationToken);
        // Something is kept after it was answered.
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancellationToken);
        var one = await new BodyLoad(reader, i => Bodies.Cacheable(1 + i), 1).RunAsync(second / 10, cancellationToken);
        var many = await new BodyLoad(reader, i => Bodies.Cacheable(1 + (second / 10) + i), Connections)
            .RunAsync(second - (second / 10) - 1, cancellationToken);

        // 3. First level.
        await Wrk.RunAsync(settings, reader, 16, hot, settings.Quick ? 1 : 3, cancellationToken);
        var alone = await Wrk.RunAsync(settings, reader, 1, hot, settings.Seconds, cancellationToken);
        var loaded = await Wrk.RunAsync(settings, reader, Connections, hot, settings.Seconds, cancellationToken);
        var checkedHits = await new BodyLoad(reader, _ => hot, 4).RunAsync(200, cancellationToken);
        var half = await new RateLoad(reader, (double)loaded["requests_per_second"]! / 2, Connections, hot)
            .RunAsync(TimeSpan.FromSeconds(settings.Quick ? 1 : 2 * settings.Seconds), cancellationToken);
        return new JsonObject
        {
            ["fill"] = filled,
            ["second_level"] = new JsonObject { ["one_connection"] = one, ["loaded"] = many },
            ["first_level"] = new JsonObject
            {
                ["one_connection"] = alone, ["loaded"] = loaded, ["half"] = half, ["hits_of_200"] = (int)checkedHits["hits"]!,
            },
        };
    }
}
