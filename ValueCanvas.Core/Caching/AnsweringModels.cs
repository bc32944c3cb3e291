using System.Collections.Concurrent;

namespace ValueCanvas.Core.Caching;

/// <summary>
/// Which model last answered under a name. Where an alias, a target or a provider has moved on to another one, answers of the one before
/// are not used any more, although nobody changed this service's configuration.
/// </summary>
internal sealed class AnsweringModels
{
    private const int Most = 10_000;

    private readonly ConcurrentDictionary<(string Asked, string? Risk), string> _last = new();

    public void Note(string asked, string? risk, string model)
    {
        if (_last.Count < Most || _last.ContainsKey((asked, risk)))
            _last[(asked, risk)] = model;
    }

    public bool IsCurrent(string asked, string? risk, string model) => !_last.TryGetValue((asked, risk), out var last) || last == model;
}
