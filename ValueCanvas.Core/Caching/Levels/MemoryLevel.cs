using System.Collections.Concurrent;
using ValueCanvas.Core.Caching.Keys;

namespace ValueCanvas.Core.Caching.Levels;

/// <summary>
/// The first level: answers in this process, in bounded memory. Reading takes no lock; where room is needed, those go first that nobody has
/// used since the last time around.
/// </summary>
internal sealed class MemoryLevel(long maxBytes)
{
    private readonly ConcurrentDictionary<CacheKey, CachedAnswer> _answers = new();
    private readonly Queue<CachedAnswer> _clock = new();
    private readonly Lock _gate = new();
    private long _bytes;

    public int Count => _answers.Count;

    public long Bytes => Volatile.Read(ref _bytes);

    public CachedAnswer? Find(CacheKey key)
    {
        if (!_answers.TryGetValue(key, out var answer))
            return null;
        // Written once only, so that readers do not fight for the line.
        if (!answer.WasUsed)
            answer.WasUsed = true;
        return answer;
    }

    public void Put(CachedAnswer answer)
    {
        if (answer.Size > maxBytes)
            return;
        lock (_gate)
        {
            if (_answers.TryGetValue(answer.Key, out var older))
            {
                // Two instances may have asked; the later answer counts.
                if (older.CreatedAt > answer.CreatedAt)
                    return;
                _bytes -= older.Size;
            }

            _answers[answer.Key] = answer;
            _clock.Enqueue(answer);
            _bytes += answer.Size;
            while (_bytes > maxBytes && _clock.TryDequeue(out var candidate))
            {
                if (!_answers.TryGetValue(candidate.Key, out var current) || !ReferenceEquals(current, candidate))
                    continue;
                if (candidate.WasUsed && !ReferenceEquals(candidate, answer))
                {
                    candidate.WasUsed = false;
                    _clock.Enqueue(candidate);
                    continue;
                }

                Drop(candidate);
            }
        }
    }

    public void Remove(CachedAnswer answer)
    {
        lock (_gate)
        {
            if (_answers.TryGetValue(answer.Key, out var current) && ReferenceEquals(current, answer))
                Drop(answer);
        }
    }

    private void Drop(CachedAnswer answer)
    {
        _answers.TryRemove(answer.Key, out _);
        _bytes -= answer.Size;
    }
}
