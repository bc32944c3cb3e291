using System.Net.Sockets;
using System.Text;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Redis;

/// <summary>Signs in and pings.</summary>
internal static class RedisProbe
{
    public static async Task CheckAsync(RedisResource redis, CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", redis.PrimaryEndpoint.Port, cancellationToken).ConfigureAwait(false);
        var stream = client.GetStream();
        if (redis.PasswordParameter is not null)
        {
            await SendAsync(
                stream, ["AUTH", await redis.PasswordParameter.GetValueAsync(cancellationToken) ?? ""], "+OK", cancellationToken);
        }

        await SendAsync(stream, ["PING"], "+PONG", cancellationToken).ConfigureAwait(false);
    }

    private static async Task SendAsync(NetworkStream stream, string[] command, string expected, CancellationToken cancellationToken)
    {
        var request = $"*{command.Length}\r\n" + string.Concat(command.Select(c => $"${Encoding.UTF8.GetByteCount(c)}\r\n{c}\r\n"));
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request), cancellationToken).ConfigureAwait(false);

        var answer = new StringBuilder();
        var buffer = new byte[256];
        while (!answer.ToString().EndsWith("\r\n", StringComparison.Ordinal))
        {
            var read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            if (read == 0)
                throw new DistributedApplicationException("Redis closed the connection");
            answer.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }

        if (!answer.ToString().StartsWith(expected, StringComparison.Ordinal))
            throw new DistributedApplicationException($"answered {answer.ToString().TrimEnd()}");
    }
}
