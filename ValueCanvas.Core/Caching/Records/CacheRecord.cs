using System.Collections.Concurrent;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Records;

/// <summary>What was counted of one answer since it was last written.</summary>
internal sealed class EntryCount(CachedAnswer answer)
{
    private long _hits;
    private long _lastHit;

    public CachedAnswer Answer => answer;

    public long Hits => Volatile.Read(ref _hits);

    /// <summary>When it was last used, in ticks of UTC; 0: not yet.</summary>
    public long LastHit => Volatile.Read(ref _lastHit);

    public void Hit(long ticks)
    {
        Interlocked.Increment(ref _hits);
        Volatile.Write(ref _lastHit, ticks);
    }

    public void Add(EntryCount other)
    {
        Interlocked.Add(ref _hits, other.Hits);
        Volatile.Write(ref _lastHit, Math.Max(LastHit, other.LastHit));
    }
}

/// <summary>Whose calls, of what, in which hour.</summary>
internal readonly record struct CountName(Guid TenantId, DateTimeOffset Hour, string Model, string Prompt);

internal sealed class CallCount
{
    private long _hits, _misses, _coalesced, _stale, _input, _output;

    public (long Hits, long Misses, long Coalesced, long Stale, long Input, long Output) Read() => (
        Volatile.Read(ref _hits), Volatile.Read(ref _misses), Volatile.Read(ref _coalesced), Volatile.Read(ref _stale),
        Volatile.Read(ref _input), Volatile.Read(ref _output));

    public void Add(CacheStatus status, TokenUsage? saved)
    {
        switch (status)
        {
            case CacheStatus.Hit:
                Interlocked.Increment(ref _hits);
                break;
            case CacheStatus.Miss:
                Interlocked.Increment(ref _misses);
                break;
            case CacheStatus.Coalesced:
                Interlocked.Increment(ref _coalesced);
                break;
            case CacheStatus.Stale:
                Interlocked.Increment(ref _stale);
                break;
        }

        if (saved is null)
            return;
        Interlocked.Add(ref _input, saved.InputTokens);
        Interlocked.Add(ref _output, saved.OutputTokens);
    }

    public void Add(CallCount other)
    {
        var (hits, misses, coalesced, stale, input, output) = other.Read();
        Interlocked.Add(ref _hits, hits);
        Interlocked.Add(ref _misses, misses);
        Interlocked.Add(ref _coalesced, coalesced);
        Interlocked.Add(ref _stale, stale);
        Interlocked.Add(ref _input, input);
        Interlocked.Add(ref _output, output);
    }
}

/// <summary>Counts off the path of any request, in bounded memory; <see cref="RecordWriter"/> writes them.</summary>
internal sealed class CacheRecords(TimeProvider time, CacheMetrics metrics)
{
    private const int MostEntries = 20_000;
    private const int MostCounts = 20_000;

    private ConcurrentDictionary<Guid, EntryCount> _entries = new();
    private ConcurrentDictionary<CountName, CallCount> _counts = new();

    public void Stored(CachedAnswer answer) => Entry(answer);

    public void Used(CachedAnswer answer, CacheStatus status)
    {
        Entry(answer)?.Hit(time.GetUtcNow().UtcTicks);
        Count(answer.TenantId, answer.AskedModel, answer.PromptKey, status, answer.Usage);
    }

    public void Count(Guid tenantId, string model, string? prompt, CacheStatus status, TokenUsage? saved)
    {
        var now = time.GetUtcNow();
        var name = new CountName(tenantId, now.AddTicks(-(now.Ticks % TimeSpan.TicksPerHour)), model, prompt ?? "");
        var counts = Volatile.Read(ref _counts);
        if (counts.TryGetValue(name, out var count)
            || (counts.Count < MostCounts && (count = counts.GetOrAdd(name, static _ => new())) is not null))
        {
            count.Add(status, saved);
        }
        else
        {
            metrics.Lost(1);
        }
    }

    public (ICollection<EntryCount> Entries, ICollection<KeyValuePair<CountName, CallCount>> Counts) Take() => (
        Interlocked.Exchange(ref _entries, new()).Values,
        Interlocked.Exchange(ref _counts, new()).ToArray());

    /// <summary>What could not be written is counted again, as far as there is room.</summary>
    public void PutBack(IEnumerable<EntryCount> entries, IEnumerable<KeyValuePair<CountName, CallCount>> counts)
    {
        foreach (var entry in entries)
            Entry(entry.Answer)?.Add(entry);
        foreach (var (name, count) in counts)
        {
            if (_counts.Count < MostCounts)
                _counts.GetOrAdd(name, static _ => new()).Add(count);
            else
                metrics.Lost(1);
        }
    }

    private EntryCount? Entry(CachedAnswer answer)
    {
        var entries = Volatile.Read(ref _entries);
        if (entries.TryGetValue(answer.Id, out var known))
            return known;
        if (entries.Count >= MostEntries)
        {
            metrics.Lost(1);
            return null;
        }

        return entries.GetOrAdd(answer.Id, static (_, given) => new EntryCount(given), answer);
    }
}
