using StackExchange.Redis;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>
/// Requests that come while Redis is busy with earlier ones are asked for together: one call, one script, one reading of the clock for many
/// of them. One that comes while it is not is asked for at once, so nobody waits for company.
/// </summary>
internal sealed class ChargeBatches(IConnectionMultiplexer redis, RedisKey clock)
{
    private const int MostTogether = 64;
    private const int MostUnderWay = 2;

    private readonly Lock _gate = new();
    private readonly Queue<Waiting> _waiting = new();
    private int _underWay;

    /// <summary>Questions that were not sent yet.</summary>
    public int Backlog
    {
        get
        {
            lock (_gate)
                return _waiting.Count;
        }
    }

    /// <summary>Not bounded: go through a gate. Questions are sent in the order of these calls.</summary>
    public Task<ChargeAnswer> AskAsync(ChargeQuestion question)
    {
        var waiting = new Waiting(question);
        lock (_gate)
        {
            _waiting.Enqueue(waiting);
            if (_underWay == MostUnderWay)
                return waiting.Task;
            _underWay++;
        }

        _ = SendAsync();
        return waiting.Task;
    }

    private async Task SendAsync()
    {
        while (TryBegin(out var batch, out var asking))
        {
            try
            {
                var answers = await asking;
                for (var i = 0; i < batch.Length; i++)
                    batch[i].SetResult(answers[i]);
            }
            catch (Exception e)
            {
                // Whatever it is, it is told to those who asked.
                foreach (var waiting in batch)
                    waiting.TrySetException(e);
            }
        }
    }

    // Sent while nobody else can be, so that they go in their order.
    private bool TryBegin(out Waiting[] batch, out Task<ChargeAnswer[]> asking)
    {
        lock (_gate)
        {
            batch = new Waiting[Math.Min(_waiting.Count, MostTogether)];
            for (var i = 0; i < batch.Length; i++)
                batch[i] = _waiting.Dequeue();
            asking = batch.Length == 0
                ? Task.FromResult<ChargeAnswer[]>([])
                : ChargeQuestion.AskAsync(redis.GetDatabase(), clock, Array.ConvertAll(batch, waiting => waiting.Question));
            if (batch.Length == 0)
                _underWay--;
            return batch.Length > 0;
        }
    }

    private sealed class Waiting(ChargeQuestion question)
        : TaskCompletionSource<ChargeAnswer>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public ChargeQuestion Question => question;
    }
}
