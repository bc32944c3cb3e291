using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Accounts;

/// <summary>What one call has cost so far, and every attempt that was made for it; for a caller of the house that asked to be
/// told.</summary>
/// <param name="mark">What the caller knows the lines of these accounts by, and no model server does.</param>
internal sealed class CallAccounts(string mark)
{
    private static readonly JsonWriterOptions Writing = new() { SkipValidation = true };

    private readonly Lock _gate = new();
    private readonly List<AttemptAccount> _attempts = [];
    private Usage? _told;
    private int _toldAttempts;

    public static CallAccounts? Of(HttpContext context) => context.Features.Get<CallAccounts>();

    public void Started(RunningAttempt running)
    {
        lock (_gate)
            _attempts.Add(new AttemptAccount(running));
    }

    public void Adopted(RunningAttempt running) => Find(running)?.IsAnswer = true;

    public void Ended(RunningAttempt running) => Find(running)?.Ended();

    /// <summary>What to tell before the next events: the attempts where another was made or has become the answer, and the counts where
    /// they have changed. False where there is nothing new.</summary>
    public bool TryTell(ArrayBufferWriter<byte> lines)
    {
        lock (_gate)
        {
            if (_attempts.Count + _attempts.Count(attempt => attempt.IsAnswer) is var attempts && attempts > _toldAttempts)
            {
                _toldAttempts = attempts;
                _told = Usage();
                Tell(lines, whole: false);
            }

            if (Usage() is { } usage && usage != _told)
            {
                _told = usage;
                lines.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture,
                    $":{mark} {usage.PromptTokens} {usage.CompletionTokens} {usage.CachedTokens} {usage.ReasoningTokens}\n\n")));
            }

            return lines.WrittenCount > 0;
        }
    }

    /// <summary>The whole of it, behind a stream's last event.</summary>
    public byte[] LastLine()
    {
        var lines = new ArrayBufferWriter<byte>(512);
        lock (_gate)
            Tell(lines, IsWhole());

        return lines.WrittenSpan.ToArray();
    }

    /// <summary>The same in a header, for an answer that is no stream. What is not in the buffer yet has no count.</summary>
    public string Header()
    {
        var json = new ArrayBufferWriter<byte>(512);
        lock (_gate)
            Write(json, whole: true);

        return Encoding.ASCII.GetString(json.WrittenSpan);
    }

    private AttemptAccount? Find(RunningAttempt running)
    {
        lock (_gate)
            return _attempts.Find(attempt => attempt.Running == running);
    }

    /// <summary>The prompt is counted once, and of the answer all that the client got, whoever of those that went on with it said
    /// it.</summary>
    private Usage? Usage()
    {
        Usage? sum = null;
        foreach (var attempt in _attempts)
        {
            if (attempt.IsAnswer && attempt.Usage is { } usage)
            {
                sum = sum is not { } first ? usage : first with
                {
                    CompletionTokens = first.CompletionTokens + usage.CompletionTokens,
                    ReasoningTokens = first.ReasoningTokens + usage.ReasoningTokens,
                };
            }
        }

        return sum;
    }

    private bool IsWhole() => _attempts.FindLast(attempt => attempt.IsAnswer) is { HasEnded: true, Running.Failure: AttemptFailure.None };

    private void Tell(IBufferWriter<byte> lines, bool whole)
    {
        lines.Write(Encoding.ASCII.GetBytes($":{mark} "));
        Write(lines, whole);
        lines.Write("\n\n"u8);
    }

    private void Write(IBufferWriter<byte> to, bool whole)
    {
        using var json = new Utf8JsonWriter(to, Writing);
        json.WriteStartObject();
        json.WriteBoolean("whole"u8, whole);
        WriteUsage(json, Usage());
        json.WriteStartArray("attempts"u8);
        foreach (var attempt in _attempts)
        {
            var target = attempt.Running.Target;
            json.WriteStartObject();
            json.WriteString("target"u8, target.Replica.Name);
            json.WriteString("provider"u8, target.Replica.Provider);
            json.WriteString("model"u8, target.Model.Model);
            json.WriteString("end"u8, attempt.End);
            json.WriteBoolean("hedge"u8, attempt.Running.IsHedge);
            json.WriteBoolean("answer"u8, attempt.IsAnswer);
            json.WriteNumber("ms"u8, Math.Round(attempt.Took.TotalMilliseconds, 3));
            json.WriteNumber("replica_ms"u8, Math.Round(attempt.ReplicaTime.TotalMilliseconds, 3));
            WriteUsage(json, attempt.Usage);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, Usage? told)
    {
        if (told is not { } usage)
            return;

        json.WriteStartArray("usage"u8);
        json.WriteNumberValue(usage.PromptTokens);
        json.WriteNumberValue(usage.CompletionTokens);
        json.WriteNumberValue(usage.CachedTokens);
        json.WriteNumberValue(usage.ReasoningTokens);
        json.WriteEndArray();
    }
}
