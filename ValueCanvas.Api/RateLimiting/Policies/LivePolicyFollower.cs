using Microsoft.Extensions.Options;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>Asks PostgreSQL twice a second whether a policy was changed. While it is away, what is known goes on.</summary>
internal sealed partial class LivePolicyFollower(
    LivePolicyStore store, PolicyCatalog catalog, IOptions<RateLimitingOptions> options, TimeProvider time, ILogger<LivePolicyFollower> logger)
    : BackgroundService
{
    private long _revision = -1;
    private bool _told;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await LookAsync(stoppingToken);
                _told = false;
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                var level = DatabaseErrors.IsUnavailable(e) ? LogLevel.Warning : LogLevel.Error;
                var type = e.GetType().Name;
                if (!_told)
                    Log.NotFollowed(logger, level, type);
                _told = true;
            }

            try
            {
                await Task.Delay(options.Value.FollowInterval, time, stoppingToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Takes over what was changed since the last look.</summary>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        var revision = await store.RevisionAsync(cancellationToken);
        if (revision == Volatile.Read(ref _revision))
            return;
        catalog.Follow(await store.LoadAsync(cancellationToken));
        Volatile.Write(ref _revision, revision);
    }

    private static partial class Log
    {
        [LoggerMessage("Changes of rate limits cannot be followed: {ExceptionType}")]
        public static partial void NotFollowed(ILogger logger, LogLevel level, string exceptionType);
    }
}
