using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Errors;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// Sees to it that somebody can sign in: the operator's account, where there is none, and the configured key. Before the service listens,
/// and where the database is away as soon as it is there. Until then nobody registers, and the configured key is not known to be wrong.
/// </summary>
internal sealed partial class FirstStart(
    FirstAccount account, FirstKey key, NpgsqlDataSource dataSource, IOptions<FirstStartOptions> options, AuditLog audit,
    TimeProvider time, ILogger<FirstStart> logger)
    : BackgroundService
{
    // 'VCFIRST1': instances that start at the same time do this one after the other.
    private const long AdvisoryLock = 0x5643464952535431;

    // A database that cannot be reached says so sooner, by the time-outs of its connection; one that is there may be slow.
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private FirstPassword? _password;
    private volatile bool _isDone;
    private bool _saidLater;

    /// <summary>Whether whoever was to be here first is.</summary>
    public bool IsDone => _isDone;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        _isDone = await TryAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Whether this is the key of the configuration, which may have any form.</summary>
    public bool IsConfiguredKey(string text) =>
        options.Value.ApiKey is { } configured
        && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(text), Encoding.UTF8.GetBytes(configured));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Pause, time);
        try
        {
            while (!_isDone && await timer.WaitForNextTickAsync(stoppingToken))
                _isDone = await TryAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The next start does it.
        }
    }

    private async Task<bool> TryAsync(CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(Bound, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            var madeUp = await DoAsync(joined.Token);
            // To whoever started the service, and to nobody whom telemetry reaches.
            if (madeUp is not null)
                await Console.Out.WriteLineAsync(Welcome(madeUp));
            _password = null;
            return true;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested
            && (exception is OperationCanceledException or PostgresException or RequestException
                || DatabaseErrors.IsUnavailable(exception)))
        {
            if (!_saidLater)
                Log.Later(logger, exception.GetType().Name);
            _saidLater = true;
            return false;
        }
    }

    /// <returns>A password that was made up.</returns>
    private async Task<string?> DoAsync(CancellationToken cancellationToken)
    {
        // 1. What takes long: outside of the transaction, and not again where that fails.
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        if (_password is null && await FirstAccount.IsMissingAsync(connection, cancellationToken))
            _password = await account.TakePasswordAsync(cancellationToken);

        // 2. The account, unless another instance has just made it.
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var begin = new NpgsqlCommand(
            $"SELECT pg_advisory_xact_lock({AdvisoryLock}), set_config('app.tenant_id', '{Tenants.Development}', true)", connection);
        begin.CommandTimeout = (int)Bound.TotalSeconds;
        await begin.ExecuteNonQueryAsync(cancellationToken);
        if (_password is { } password && await FirstAccount.IsMissingAsync(connection, cancellationToken))
        {
            var user = await account.MakeAsync(connection, password, cancellationToken);
            await NoteAsync(connection, new("operator.appointed") { Subject = new("user", user) }, cancellationToken);
        }

        // Also what an earlier try has made that did not hear of its commit: nobody else could tell it.
        var madeUp = _password is { IsMadeUp: true } mine && await account.HasAsync(connection, mine, cancellationToken) ? mine.Text : null;

        // 3. The key.
        if (options.Value.ApiKey is not null && await key.EnsureAsync(connection, cancellationToken) is { } made)
            await NoteAsync(connection, new("key.created") { Subject = new("api_key", made) }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return madeUp;
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
        [LoggerMessage(
            LogLevel.Warning,
            "The first account and key cannot be looked after yet, which is tried each second: {ExceptionType}")]
        public static partial void Later(ILogger logger, string exceptionType);
    }
}
