using System.Text;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Chat;

/// <summary>Makes the writers of texts.</summary>
internal sealed class JobTextWriters(JobCheckpoints checkpoints, LiveText live, TimeProvider time)
{
    /// <summary>Nobody sees anything of an attempt before PostgreSQL knows how much of the text before it keeps.</summary>
    public async Task<JobTextWriter> BeginAsync(Job job, JobText start, CancellationToken cancellationToken)
    {
        await checkpoints.SaveAsync(job, start.ToJson(), cancellationToken);
        return new JobTextWriter(job, start, checkpoints, live, time);
    }
}

/// <summary>
/// Takes a text piece by piece, without waiting for anybody; what has come goes to Redis at once and to PostgreSQL every second.
/// </summary>
internal sealed class JobTextWriter : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan CheckpointInterval = TimeSpan.FromSeconds(0.9);

    private readonly Job _job;
    private readonly JobText _start;
    private readonly JobCheckpoints _checkpoints;
    private readonly LiveText _live;
    private readonly TimeProvider _time;
    private readonly StringBuilder _text;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _pump;

    public JobTextWriter(Job job, JobText start, JobCheckpoints checkpoints, LiveText live, TimeProvider time)
    {
        _job = job;
        _start = start;
        _checkpoints = checkpoints;
        _live = live;
        _time = time;
        _text = new StringBuilder(start.Text);
        _pump = Task.Run(PumpAsync);
    }

    public string Text
    {
        get
        {
            lock (_text)
                return _text.ToString();
        }
    }

    public void Append(string piece)
    {
        lock (_text)
            _text.Append(piece);
    }

    /// <summary>What has not been sent yet is, so that a watcher sees the text's end no later than the job's.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _pump;
        _stop.Dispose();
    }

    private async Task PumpAsync()
    {
        var announced = false;
        var sentChars = 0;
        var sentBytes = 0;
        var savedChars = _start.Text.Length;
        var savedAt = _time.GetTimestamp();
        var stopping = false;
        while (!stopping)
        {
            try
            {
                await Task.Delay(Interval, _time, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                stopping = true;
            }

            // Half of a surrogate pair is no text yet; its other half comes with the next piece.
            var text = Text;
            if (text.Length > 0 && char.IsHighSurrogate(text[^1]) && !stopping)
                text = text[..^1];
            if (text.Length > sentChars || !announced)
            {
                var bytes = Encoding.UTF8.GetBytes(text[sentChars..]);
                if (await _live.AppendAsync(_job.Id, _job.RunLease, _start.Bases, sentBytes, bytes))
                    (announced, sentChars, sentBytes) = (true, text.Length, sentBytes + bytes.Length);
                else
                    (announced, sentChars, sentBytes) = (false, 0, 0);
            }

            var interrupted = stopping && text.Length > savedChars;
            if (text.Length > savedChars && (interrupted || _time.GetElapsedTime(savedAt) >= CheckpointInterval))
            {
                savedAt = _time.GetTimestamp();
                if (await SaveAsync(text))
                    savedChars = text.Length;
            }
        }
    }

    private async Task<bool> SaveAsync(string text)
    {
        try
        {
            return await _checkpoints.SaveAsync(_job, (_start with { Text = text }).ToJson(), CancellationToken.None);
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            // The next one has all of it.
            return false;
        }
    }
}
