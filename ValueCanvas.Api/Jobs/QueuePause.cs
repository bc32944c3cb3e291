using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Jobs;

/// <summary>The pause of the whole queue, which every claim looks at.</summary>
internal sealed class QueuePause(TenantDatabase database)
{
    /// <summary>Null: jobs are started.</summary>
    public Task<DateTimeOffset?> SinceAsync(Guid tenantId, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        (db, ct) => db.Database.SqlQuery<DateTimeOffset?>($"""SELECT llm_queue_paused_since() AS "Value" """).SingleAsync(ct),
        cancellationToken);

    /// <summary>Since when it is paused now; null: not.</summary>
    public Task<DateTimeOffset?> SetAsync(
        Guid tenantId, bool paused, Func<ValueCanvasDbContext, CancellationToken, Task> also, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var since = await db.Database
                    .SqlQuery<DateTimeOffset?>($"""SELECT pause_llm_queue({paused}) AS "Value" """)
                    .SingleAsync(ct);
                await also(db, ct);
                return since;
            },
            cancellationToken);
}

/// <summary>Whether no job of any tenant is started, and since when.</summary>
internal sealed record QueuePauseData(bool Paused, DateTimeOffset? Since)
{
    public static QueuePauseData Of(DateTimeOffset? since) => new(since is not null, since);
}
