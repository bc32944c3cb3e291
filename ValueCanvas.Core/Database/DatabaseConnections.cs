using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace ValueCanvas.Core.Database;

/// <summary>
/// The connection string that a host uses: the configured one, and for what it does not say <see cref="DatabaseOptions"/>.
/// </summary>
internal static class DatabaseConnections
{
    /// <exception cref="InvalidOperationException">There is none, or a setting makes no sense; the message names it.</exception>
    public static (string ConnectionString, DatabaseOptions Options) Read(
        IConfiguration configuration, IHostEnvironment environment, bool interactive)
    {
        var options = configuration.GetSection(DatabaseOptions.Section).Get<DatabaseOptions>() ?? new DatabaseOptions();
        if (options.Problems().FirstOrDefault() is { } problem)
            throw new InvalidOperationException(problem);
        var configured = configuration.GetConnectionString(DatabaseExtensions.ConnectionName) is { Length: > 0 } text
            ? text
            : throw new InvalidOperationException(
                $"ConnectionStrings:{DatabaseExtensions.ConnectionName} is missing: set it to PostgreSQL's connection string.");
        return (WithDefaults(Parse(configured), options, environment, interactive), options);
    }

    private static NpgsqlConnectionStringBuilder Parse(string configured)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(configured);
        }
        catch (ArgumentException exception)
        {
            throw new InvalidOperationException(
                $"ConnectionStrings:{DatabaseExtensions.ConnectionName} is not a connection string such as Host=…;Username=…: "
                + exception.Message);
        }
    }

    // A dead or silent server is noticed in seconds; connections are renewed hourly, so that a moved server is found again.
    private static string WithDefaults(
        NpgsqlConnectionStringBuilder settings, DatabaseOptions options, IHostEnvironment environment, bool interactive)
    {
        var (size, overflow) = environment.IsProduction() ? (20, 40) : (10, 20);
        (size, overflow) = (options.PoolSize ?? size, options.PoolOverflow ?? overflow);
        SetUnlessConfigured("Application Name", environment.ApplicationName);
        SetUnlessConfigured("Maximum Pool Size", size + overflow);
        SetUnlessConfigured("Minimum Pool Size", Math.Min(size, settings.MaxPoolSize));
        SetUnlessConfigured("Connection Lifetime", Seconds(options.ConnectionLifetime));
        SetUnlessConfigured("Timeout", Seconds(options.ConnectTimeout ?? TimeSpan.FromSeconds(interactive ? 2 : 5)));
        SetUnlessConfigured("Command Timeout", Seconds(options.CommandTimeout ?? TimeSpan.FromSeconds(interactive ? 2 : 30)));
        // A statement that ran out of time costs the command timeout and then twice the other, in which its cancellation is sent (with TLS,
        // then without); -1: the cancellation's answer is not waited for, too.
        SetUnlessConfigured("Cancellation Timeout", interactive ? -1 : 1000);
        SetUnlessConfigured("Keepalive", 15);
        // What is asked again and again is parsed and planned once a connection.
        // 0 behind a pooler that gives each transaction another server.
        SetUnlessConfigured("Max Auto Prepare", 64);
        // Everything that is set, is set for a transaction.
        // To discard what a session may hold would have the server plan each statement anew.
        SetUnlessConfigured("No Reset On Close", true);
        return settings.ConnectionString;

        void SetUnlessConfigured(string keyword, object value)
        {
            if (!settings.ContainsKey(keyword) || !settings.ShouldSerialize(keyword))
                settings[keyword] = value;
        }
    }

    private static int Seconds(TimeSpan time) => Convert.ToInt32(Math.Ceiling(time.TotalSeconds), CultureInfo.InvariantCulture);
}
