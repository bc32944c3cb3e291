using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Protection;

namespace ValueCanvas.Api.Audit;

/// <summary>
/// Where features say what was done. In the transaction of a change: <c>await audit.WriteAsync(db, context, new("key.created"), ct)</c>;
/// what has none, such as a refusal: <c>audit.Record(context, new("auth.login", AuditOutcome.Failure))</c>. A request that changes
/// something and says neither is recorded by its route (<see cref="AuditRequests"/>).
/// </summary>
internal sealed class AuditLog : IDisposable
{
    private readonly AuditQueue _queue;
    private readonly ClientSource _source;
    private readonly TimeProvider _time;
    private readonly AuditBudget _budget;

    public AuditLog(AuditQueue queue, ClientSource source, IOptions<AuditOptions> options, AuditMetrics metrics, TimeProvider time)
    {
        _queue = queue;
        _source = source;
        _time = time;
        _budget = new AuditBudget(
            options, metrics, time, counts => Record(null, new("request.refusals_summed", AuditOutcome.Denied) { Details = counts }));
    }

    /// <summary>Part of the transaction that the context is in: the change and its row are both there, or neither.</summary>
    public Task WriteAsync(DbContext db, HttpContext? context, AuditEvent entry, CancellationToken cancellationToken) =>
        WriteAsync((NpgsqlConnection)db.Database.GetDbConnection(), context, entry, cancellationToken);

    /// <inheritdoc cref="WriteAsync(DbContext, HttpContext?, AuditEvent, CancellationToken)"/>
    public Task WriteAsync(NpgsqlConnection connection, HttpContext? context, AuditEvent entry, CancellationToken cancellationToken) =>
        WriteAsync(connection, context, [entry], cancellationToken);

    /// <summary>Several of one tenant, in one statement.</summary>
    /// <inheritdoc cref="WriteAsync(DbContext, HttpContext?, AuditEvent, CancellationToken)"/>
    public async Task WriteAsync(
        NpgsqlConnection connection, HttpContext? context, IReadOnlyList<AuditEvent> entries, CancellationToken cancellationToken)
    {
        await AuditSql.InsertAsync(connection, [.. entries.Select(entry => Row(context, entry))], cancellationToken);
        Note(context);
    }

    /// <summary>For the transaction that submits a job; once it has, <see cref="Wrote"/> belongs to it.</summary>
    public AuditJobNote NoteOf(Guid jobId, HttpContext context, AuditEvent entry) => new(jobId, Row(context, entry));

    /// <summary>What was to be said about this request is committed.</summary>
    public static void Wrote(HttpContext context) => Note(context);

    /// <summary>The same for a store whose transaction its caller does not see.</summary>
    public AuditNote Noting(HttpContext context, AuditEvent entry) =>
        (db, cancellationToken) => WriteAsync(db, context, entry, cancellationToken);

    /// <summary>Soon, off the path of the request; never throws and never waits. Null for the context: no request asked for it.</summary>
    public void Record(HttpContext? context, AuditEvent entry)
    {
        var row = Row(context, entry);
        Note(context);
        var known = row.ActorKind != AuditActor.Anonymous.Kind;
        if (context is null || entry.Outcome == AuditOutcome.Success
            || _budget.Take(row.Event, (known ? row.ActorId : row.Source) ?? "", known))
        {
            _queue.Add(row);
        }
    }

    /// <summary>Whether something was said about this request.</summary>
    public static bool Knows(HttpContext context) => context.Features.Get<Noted>() is not null;

    /// <summary>Tells what was only counted so far.</summary>
    public void Flush() => _budget.EndMinute();

    public void Dispose() => _budget.Dispose();

    private static void Note(HttpContext? context) => context?.Features.Set(Noted.Once);

    private AuditRow Row(HttpContext? context, AuditEvent entry)
    {
        var now = _time.GetUtcNow();
        var (tenant, caller) = context is null ? (null, AuditActor.System) : AuditCaller.Of(context);
        var actor = entry.Actor ?? caller;
        return new AuditRow(
            Guid.CreateVersion7(now),
            entry.Tenant ?? tenant,
            now,
            AuditDetailsContext.Text(entry.Name, 100)!,
            entry.Outcome switch
            {
                AuditOutcome.Success => "success",
                AuditOutcome.Failure => "failure",
                _ => "denied",
            },
            actor.Kind,
            AuditDetailsContext.Text(actor.Id, 200),
            AuditDetailsContext.Text(entry.Subject?.Kind, 100),
            AuditDetailsContext.Text(entry.Subject?.Id, 200),
            context is null ? null : ErrorBodies.TraceId(context),
            context is null ? null : _source.Of(context),
            AuditDetailsContext.Write(entry.Details));
    }

    private sealed class Noted
    {
        public static readonly Noted Once = new();
    }
}

/// <summary>Writes what is to be noted of a change in the change's own transaction.</summary>
internal delegate Task AuditNote(DbContext db, CancellationToken cancellationToken);
