using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Changes;

/// <summary>
/// Tells everybody who remembers a part of the database what changed there. PostgreSQL notifies of each commit that changed something, so
/// that it is everywhere at once; besides, everybody asks twice a second, so that a notification that is lost costs no more than that.
/// Nothing but the database is needed for it.
/// </summary>
internal sealed partial class ChangeFeed(
    NpgsqlDataSource dataSource, IEnumerable<IChangeFollower> followers, TimeProvider time, ILogger<ChangeFeed> logger) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2);

    // Many changes that come together are asked for together.
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(20);

    private readonly Followed[] _followed = [.. followers.Select(follower => new Followed(follower))];

    // Of its own, so that it does not wait for one while requests have them all.
    private NpgsqlConnection? _connection;
    private volatile bool _isTold;
    private bool _away;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                var asked = time.GetTimestamp();
                await AskAsync(stoppingToken);
                await WaitAsync(stoppingToken);
                if (Breath - time.GetElapsedTime(asked) is var rest && rest > TimeSpan.Zero)
                    await Task.Delay(rest, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The end of the service.
        }
        finally
        {
            await CloseAsync();
        }
    }

    private async Task AskAsync(CancellationToken stoppingToken)
    {
        using var bound = new CancellationTokenSource(Bound, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, stoppingToken);
        try
        {
            var connection = _connection ??= await ListenAsync(joined.Token);
            _isTold = false;
            foreach (var followed in _followed)
                await AskAsync(followed, connection, joined.Token);
            if (_away)
                Log.Back(logger);
            _away = false;
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            // Whatever it is, the next question may be answered: who remembers must never be left alone.
            await CloseAsync();
            foreach (var followed in _followed)
                followed.Follower.NoAnswer();
            if (!_away)
                Log.Away(logger, exception.GetType().Name);
            _away = true;
        }
    }

    private async Task AskAsync(Followed followed, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var asked = time.GetTimestamp();
        try
        {
            await followed.Follower.FollowAsync(
                connection, new(asked, followed.AnsweredAt is { } at ? time.GetElapsedTime(at, asked) : null), cancellationToken);
            (followed.AnsweredAt, followed.IsFailing) = (asked, false);
        }
        catch (Exception exception) when (!IsAway(exception) && !cancellationToken.IsCancellationRequested)
        {
            // Its own fault: the others are told all the same.
            followed.Follower.NoAnswer();
            if (!followed.IsFailing)
                Log.Failed(logger, followed.Follower.GetType().Name, exception.GetType().Name);
            followed.IsFailing = true;
        }
    }

    // Until PostgreSQL notifies, or it is time to ask again.
    private async Task WaitAsync(CancellationToken stoppingToken)
    {
        using var period = new CancellationTokenSource(Period, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(period.Token, stoppingToken);
        try
        {
            if (_connection is null)
                await Task.Delay(Timeout.InfiniteTimeSpan, time, joined.Token);
            while (!_isTold)
                await _connection!.WaitAsync(joined.Token);
        }
        catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
        {
            // Time to ask.
        }
        catch (Exception) when (!stoppingToken.IsCancellationRequested)
        {
            // The next question tells that it is away.
            await CloseAsync();
        }
    }

    private async Task<NpgsqlConnection> ListenAsync(CancellationToken cancellationToken)
    {
        var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        try
        {
            connection.Notification += (_, _) => _isTold = true;
            await using var command = new NpgsqlCommand("LISTEN valuecanvas_changes", connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private async Task CloseAsync()
    {
        if (_connection is not { } connection)
            return;
        _connection = null;
        await connection.DisposeAsync();
    }

    private static bool IsAway(Exception exception) => exception is OperationCanceledException || DatabaseErrors.IsUnavailable(exception);

    private sealed class Followed(IChangeFollower follower)
    {
        public IChangeFollower Follower => follower;

        public long? AnsweredAt { get; set; }

        public bool IsFailing { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The database does not say what changed ({ExceptionType}): what is known goes on for a while")]
        public static partial void Away(ILogger logger, string exceptionType);

        [LoggerMessage(LogLevel.Information, "The database says again what changed")]
        public static partial void Back(ILogger logger);

        [LoggerMessage(LogLevel.Error, "{Follower} cannot follow changes: {ExceptionType}")]
        public static partial void Failed(ILogger logger, string follower, string exceptionType);
    }
}
