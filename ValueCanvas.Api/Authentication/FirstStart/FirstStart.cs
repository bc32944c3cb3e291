using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.Audit;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// Sees to it that somebody can sign in: the operator's account, where there is none, and the configured key. Before the service listens,
/// and where the database is away as soon as it is there.
/// </summary>
internal sealed partial class FirstStart(
    FirstAccount account, FirstKey key, NpgsqlDataSource dataSource, IOptions<FirstStartOptions> options, AuditLog audit,
    TimeProvider time, ILogger<FirstStart> logger)
    : BackgroundService
{
    // 'VCFIRST1': instances that start at the same time do this one after the other.
    private const long AdvisoryLock = 0x5643464952535431;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private bool _done;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        _done = await TryAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Pause, time);
        try
        {
            while (!_done && await timer.WaitForNextTickAsync(stoppingToken))
                _done = await TryAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The next start does it.
        }
    }

    private async Task<bool> TryAsync(CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(Patience, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            var password = await DoAsync(joined.Token);
            // To whoever started the service, and to nobody whom telemetry reaches.
            if (password is not null)
                await Console.Out.WriteLineAsync(Welcome(password));
            return true;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested
            && (exception is OperationCanceledException or PostgresException || DatabaseErrors.IsUnavailable(exception)))
        {
            Log.Later(logger, exception.GetType().Name);
            return false;
        }
    }

    /// <returns>A password that was made up.</returns>
    private async Task<string?> DoAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var begin = new NpgsqlCommand(
            $"SELECT pg_advisory_xact_lock({AdvisoryLock}), set_config('app.tenant_id', '{Tenants.Development}', true)", connection);
        await begin.ExecuteNonQueryAsync(cancellationToken);
        var (user, password) = await account.EnsureAsync(connection, cancellationToken);
        if (user is { } appointed)
            await NoteAsync(connection, new("operator.appointed") { Subject = new("user", appointed) }, cancellationToken);
        if (options.Value.ApiKey is not null && await key.EnsureAsync(connection, cancellationToken) is { } made)
            await NoteAsync(connection, new("key.created") { Subject = new("api_key", made) }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return password;
    }

    private Task NoteAsync(NpgsqlConnection connection, AuditEvent entry, CancellationToken cancellationToken) =>
        audit.WriteAsync(connection, null, entry with { Tenant = Tenants.Development }, cancellationToken);

    private string Welcome(string password) =>
        $"""

         This installation has got its operator:
           e-mail             {options.Value.Email}
           one-time password  {password}
         It is shown only now, and must be changed at the first sign-in: POST /api/auth/login, then POST /api/auth/password.

         """;

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The first account and key cannot be looked after yet, the database is away: {ExceptionType}")]
        public static partial void Later(ILogger logger, string exceptionType);
    }
}
