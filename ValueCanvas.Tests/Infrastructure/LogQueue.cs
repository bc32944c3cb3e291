using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace ValueCanvas.Tests.Infrastructure;

/// <summary>Keeps every line that is logged, with its scopes' and its exception's text.</summary>
internal sealed class LogQueue : ILoggerProvider, ILogger
{
    private readonly ConcurrentQueue<string> _lines = new();

    public IReadOnlyCollection<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull
    {
        _lines.Enqueue($"{state}");
        return null;
    }

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        var values = state is IEnumerable<KeyValuePair<string, object?>> pairs ? string.Join(' ', pairs.Select(pair => pair.Value)) : "";
        _lines.Enqueue(formatter(state, exception));
        _lines.Enqueue($"{values} {exception}");
    }

    public void Dispose()
    {
    }
}
