using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Accounts;

/// <summary>
/// Once an hour takes out what nobody asks for any more: sessions and invitations long over, changes that all have heard of.
/// </summary>
internal sealed partial class AccountPruner(
        NpgsqlDataSource dataSource, IOptions<AccountSessionOptions> options, TimeProvider time, ILogger<AccountPruner> logger)
        : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await PruneAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The next start goes on.
        }
    }

    private async Task PruneAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var command = dataSource.CreateCommand("SELECT prune_accounts($1)");
            command.CommandTimeout = 60;
            command.Parameters.Add(new() { Value = options.Value.KeepEnded });
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException || DatabaseErrors.IsUnavailable(exception))
        {
            Log.Later(logger, exception.GetType().Name);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Old sessions could not be taken out, which is tried again in an hour: {ExceptionType}")]
        public static partial void Later(ILogger logger, string exceptionType);
    }
}
