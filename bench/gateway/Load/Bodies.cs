using System.Text;
using ValueCanvas.ProxyBench.Load;

namespace ValueCanvas.GatewayBench.Load;

/// <summary>Chats of one kilobyte: those that the cache answers (temperature 0), and those that it does not look at.</summary>
internal static class Bodies
{
    public static readonly byte[] Uncached = Prompts.Chat(1024, stream: false);

    /// <summary>Number <paramref name="index"/> of as many cacheable ones as are wanted.</summary>
    public static byte[] Cacheable(int index) => Change(index, "0.0");

    /// <summary>The same, all different, and none cacheable.</summary>
    public static byte[] Fresh(int index) => Change(index, "0.2");

    private static byte[] Change(int index, string temperature) => Encoding.ASCII.GetBytes(Encoding.ASCII.GetString(Uncached)
        .Replace("\"temperature\":0.2", $"\"temperature\":{temperature}", StringComparison.Ordinal)
        .Replace("plain words.", $"{index:D11}.", StringComparison.Ordinal));
}
