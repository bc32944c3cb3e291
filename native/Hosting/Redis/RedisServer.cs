using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Orchestration;

namespace Aspire.Hosting.Redis;

/// <summary>The machine's redis-server for a Redis resource.</summary>
internal static class RedisServer
{
    public static async Task<ProcessCommand> PrepareAsync(
        RedisResource redis, DataDirectory data, ProcessLauncher launcher, bool first, CancellationToken cancellationToken)
    {
        var server = Executables.Find("redis-server") ?? throw new DistributedApplicationException(
            $"Resource '{redis.Name}' needs redis-server, which is not on the PATH. On Debian or Ubuntu: apt-get install redis-server");

        var user = UnixUser.Unprivileged("redis", "nobody");
        var directory = data.For(redis.Name);
        var keep = redis.Annotations.OfType<ContainerMountAnnotation>().Any() && !data.IsThrowaway;
        if (!keep && first && Directory.Exists(directory))
            Directory.Delete(directory, recursive: true);
        await ServerFiles.CreateDirectoryAsync(launcher, directory, user).ConfigureAwait(false);

        var password = redis.PasswordParameter is { } parameter
            ? await parameter.GetValueAsync(cancellationToken).ConfigureAwait(false)
            : null;
        var persistence = redis.Annotations.OfType<RedisPersistenceAnnotation>().LastOrDefault();
        return new ProcessCommand
        {
            FileName = server,
            Arguments = ["-"],
            WorkingDirectory = "/",
            User = user,
            Input = $"""
                port {redis.PrimaryEndpoint.Port}
                bind 127.0.0.1 -::1
                daemonize no
                dir "{directory}"
                save {(persistence is null ? "\"\"" : $"{persistence.Seconds} {persistence.Changes}")}
                {(password is null ? "" : $"requirepass \"{Quoted(password)}\"")}
                """,
        };
    }

    private static string Quoted(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
}
