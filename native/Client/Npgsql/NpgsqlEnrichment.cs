using Aspire.Npgsql.EntityFrameworkCore.PostgreSQL;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql.EntityFrameworkCore.PostgreSQL;

namespace Aspire.Client;

/// <summary>Retries and command timeout for a context that the application registered itself; what it chose on purpose is kept.</summary>
internal static class NpgsqlEnrichment
{
    public static void Apply<TContext>(DbContextOptionsBuilder options, NpgsqlEntityFrameworkCorePostgreSQLSettings settings)
        => options.UseNpgsql(npgsql =>
        {
            var extension = options.Options.Extensions.OfType<RelationalOptionsExtension>().FirstOrDefault();
            if (!settings.DisableRetry && NeedsRetries(extension, options.Options))
                npgsql.EnableRetryOnFailure();

            if (settings.CommandTimeout is { } seconds)
            {
                if (extension?.CommandTimeout is { } chosen && chosen != seconds)
                {
                    throw new InvalidOperationException(
                        $"Conflicting values for 'CommandTimeout' were found in {nameof(NpgsqlEntityFrameworkCorePostgreSQLSettings)} "
                        + $"and set in DbContextOptions<{typeof(TContext).Name}>.");
                }

                npgsql.CommandTimeout(seconds);
            }
        });

    private static bool NeedsRetries(RelationalOptionsExtension? extension, DbContextOptions options)
    {
#pragma warning disable EF1001 // The only way to see which strategy the application's factory makes.
        var chosen = extension?.ExecutionStrategyFactory?.Invoke(new ExecutionStrategyDependencies(null!, options, null!));
#pragma warning restore EF1001
        return chosen switch
        {
            null => true,
            NpgsqlRetryingExecutionStrategy => false,
            _ when chosen.GetType().Assembly == typeof(NpgsqlRetryingExecutionStrategy).Assembly => true,
            _ => throw new InvalidOperationException(
                $"{nameof(NpgsqlEntityFrameworkCorePostgreSQLSettings)}.{nameof(NpgsqlEntityFrameworkCorePostgreSQLSettings.DisableRetry)} "
                + "needs to be set when a custom Execution Strategy is configured."),
        };
    }
}
