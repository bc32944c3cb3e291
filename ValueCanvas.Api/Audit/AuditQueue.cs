using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.Audit;

/// <summary>
/// Rows on their way to the database. What finds no room, or no database until the end, is told to the service's own log.
/// </summary>
internal sealed partial class AuditQueue
{
    private readonly Channel<AuditRow> _rows;
    private readonly AuditMetrics _metrics;
    private readonly ILogger<AuditQueue> _logger;

    public AuditQueue(IOptions<AuditOptions> options, AuditMetrics metrics, ILogger<AuditQueue> logger)
    {
        _rows = Channel.CreateBounded<AuditRow>(new BoundedChannelOptions(options.Value.MaxQueued) { SingleReader = true });
        _metrics = metrics;
        _logger = logger;
    }

    public void Add(AuditRow row)
    {
        if (!_rows.Writer.TryWrite(row))
            Lose(row);
    }

    /// <summary>Nothing more is taken; what is in it can still be read.</summary>
    public void Close() => _rows.Writer.TryComplete();

    /// <summary>False once it is closed and empty.</summary>
    public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => _rows.Reader.WaitToReadAsync(cancellationToken);

    public bool TryTake([NotNullWhen(true)] out AuditRow? row) => _rows.Reader.TryRead(out row);

    public void Lose(AuditRow row)
    {
        _metrics.Lost();
        Log.Lost(_logger, row.Event, row.Outcome, row.ActorKind, row.ActorId, row.SubjectKind, row.SubjectId, row.OccurredAt, row.TraceId);
    }

    private static partial class Log
    {
        [LoggerMessage(
            LogLevel.Error,
            "Not in the audit log: {Event} {Outcome} by {ActorKind} {ActorId} to {SubjectKind} {SubjectId} at {OccurredAt:O}, "
            + "trace {Trace}")]
        public static partial void Lost(
            ILogger logger, string @event, string outcome, string actorKind, string? actorId, string? subjectKind, string? subjectId,
            DateTimeOffset occurredAt, string? trace);
    }
}
