using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace ValueCanvas.ServiceDefaults.Caching;

/// <summary>
/// The variables that other deployments of ValueCanvas set: <c>REDIS_ENABLED</c>, and <c>REDIS_URL</c> or <c>REDIS_HOST</c> with
/// <c>REDIS_PORT</c>, <c>REDIS_AUTH_TOKEN</c>, <c>REDIS_SSL</c>. What they name wins over the AppHost's connection string.
/// </summary>
internal static class RedisVariables
{
    private const int DefaultPort = 6379;

    /// <summary>False with <c>REDIS_ENABLED=false</c>: the services then run without Redis, and its absence degrades nothing.</summary>
    public static bool IsEnabled(IConfiguration configuration) => Flag(configuration, "REDIS_ENABLED", @default: true);

    /// <summary>The connection string that the variables make, or null where they name no server.</summary>
    /// <exception cref="InvalidOperationException">A variable makes no sense; the message names it, never its secret.</exception>
    public static string? ConnectionString(IConfiguration configuration)
    {
        var password = configuration["REDIS_AUTH_TOKEN"];
        if (configuration["REDIS_URL"] is { Length: > 0 } url)
        {
            if (!Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("redis" or "rediss"))
                throw new InvalidOperationException("REDIS_URL must look like redis://host:6379, or rediss://host:6379 for TLS.");
            var colon = address.UserInfo.IndexOf(':', StringComparison.Ordinal);
            if (colon >= 0)
                password = Uri.UnescapeDataString(address.UserInfo[(colon + 1)..]);
            return Compose(address.Host, address.Port > 0 ? address.Port : DefaultPort, password, address.Scheme == "rediss");
        }

        if (configuration["REDIS_HOST"] is not { Length: > 0 } host)
            return null;
        var text = configuration["REDIS_PORT"];
        var port = DefaultPort;
        if (!string.IsNullOrEmpty(text) && !(int.TryParse(text, CultureInfo.InvariantCulture, out port) && port is > 0 and < 65536))
            throw new InvalidOperationException($"REDIS_PORT is '{text}'; it must be a port number between 1 and 65535.");
        return Compose(host, port, password, Flag(configuration, "REDIS_SSL", @default: false));
    }

    private static string Compose(string host, int port, string? password, bool tls)
    {
        // The client's format has no escape for its separator.
        if (password?.Contains(',', StringComparison.Ordinal) == true)
            throw new InvalidOperationException("REDIS_AUTH_TOKEN, or the password in REDIS_URL, must not contain a comma.");
        return string.Create(CultureInfo.InvariantCulture, $"{host}:{port}")
            + (string.IsNullOrEmpty(password) ? "" : $",password={password}")
            + (tls ? ",ssl=true" : "");
    }

    private static bool Flag(IConfiguration configuration, string name, bool @default)
    {
        var text = configuration[name];
        if (string.IsNullOrEmpty(text))
            return @default;
        return bool.TryParse(text, out var value)
            ? value
            : throw new InvalidOperationException($"{name} is '{text}'; it must be true or false.");
    }
}
