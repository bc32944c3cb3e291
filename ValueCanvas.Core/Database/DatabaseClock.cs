using Microsoft.EntityFrameworkCore;

namespace ValueCanvas.Core.Database;

/// <summary>The one clock by which jobs start and end; those of the processes may be minutes apart.</summary>
public static class DatabaseClock
{
    public static Task<DateTimeOffset> NowAsync(ValueCanvasDbContext db, CancellationToken cancellationToken) =>
        db.Database.SqlQuery<DateTimeOffset>($"""SELECT clock_timestamp() AS "Value" """).SingleAsync(cancellationToken);
}
