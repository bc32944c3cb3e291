using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace ValueCanvas.Core.Database;

/// <summary>
/// Stands where Npgsql writes its log, of EF Core's statements and of raw ones alike, and lets through one line for each that took too
/// long: its text, with neither parameters nor literals. The same is counted in <c>valuecanvas.database.slow_queries</c>.
/// </summary>
internal sealed partial class SlowQueries : ILoggerFactory, ILogger
{
    public const string MeterName = "ValueCanvas.Database";

    private const int MaxLength = 1000;

    private readonly TimeSpan _limit;
    private readonly ILogger<SlowQueries> _log;
    private readonly Counter<long> _count;

    public SlowQueries(TimeSpan limit, ILogger<SlowQueries> log, IMeterFactory meters)
    {
        (_limit, _log) = (limit, log);
        _count = meters.Create(MeterName).CreateCounter<long>(
            "valuecanvas.database.slow_queries", "{query}", "Statements that took longer than Database:SlowQuery.");
    }

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider)
    {
        // What is let through goes to the host's own log.
    }

    public void Dispose()
    {
        // Nothing of its own.
    }

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    // The end of a statement is told at this level; below it Npgsql need not write anything down.
    public bool IsEnabled(LogLevel logLevel) => logLevel == LogLevel.Information;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (logLevel != LogLevel.Information || state is not IReadOnlyList<KeyValuePair<string, object?>> values)
            return;
        var milliseconds = 0.0;
        object? sql = null;
        foreach (var (name, value) in values)
        {
            if (name == "DurationMs")
                milliseconds = Convert.ToDouble(value, CultureInfo.InvariantCulture);
            else if (name is "CommandText" or "BatchCommands")
                sql = value;
        }

        if (sql is null || milliseconds < _limit.TotalMilliseconds)
            return;
        _count.Add(1);
        Lines.Slow(_log, milliseconds, Plain(sql));
    }

    private static string Plain(object sql)
    {
        var text = sql is IEnumerable<string> batch ? string.Join("; ", batch) : Convert.ToString(sql, CultureInfo.InvariantCulture) ?? "";
        text = Spaces().Replace(Literals().Replace(text, "'…'"), " ").Trim();
        return text.Length <= MaxLength ? text : $"{text[..MaxLength]}…";
    }

    [GeneratedRegex(@"'(?:[^'\\]|''|\\.)*'|\$(\w*)\$.*?\$\1\$", RegexOptions.Singleline | RegexOptions.CultureInvariant)]
    private static partial Regex Literals();

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Spaces();

    private static partial class Lines
    {
        [LoggerMessage(LogLevel.Warning, "A statement took {Milliseconds} ms: {Sql}")]
        public static partial void Slow(ILogger logger, double milliseconds, string sql);
    }
}
