using System.Globalization;
using System.Text;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>
/// Turns the events of a server that goes on with an answer into chunks of the stream that the client has begun to read: of its kind, with
/// its id and time, and with one usage for both parts.
/// </summary>
internal sealed class ResumedEvents(AnswerSoFar answer, InferenceOperation operation, in StreamFields fields) : IDisposable
{
    private readonly PooledBytes _out = new();
    private readonly bool _usage = fields.WantsUsage && !answer.HasUsage;
    private readonly bool _runningUsage = fields.WantsUsage && fields.WantsRunningUsage;
    private readonly bool _tokenIds = fields.WantsTokenIds;
    private readonly int _before = answer.Tokens;
    private readonly int _prompt = answer.PromptTokens;

    /// <summary>Relays to the end of the attempt. None: the stream has come to its end.</summary>
    public async Task<AttemptFailure> CopyAsync(Attempt attempt, HttpResponse response)
    {
        var judge = attempt.Judge;
        while (true)
        {
            var plain = Rewrite(attempt.Ready.Span, judge.Usage);
            if (_out.Length > 0)
                await response.Body.WriteAsync(_out.Memory, attempt.Client);

            if (!plain || attempt.IsMidEvent)
            {
                return AttemptFailure.Malformed; // nothing that the client's stream could go on with
            }

            var (read, failure) = judge.IsStopped ? (0, judge.Failure) : judge.IsDone ? default : await attempt.ReadAsync();
            if (read > 0 || (failure == AttemptFailure.None && attempt.Ready.Length > 0 && !judge.IsDone))
                continue;

            if (failure == AttemptFailure.None && judge.IsComplete && !judge.IsDone)
            {
                await EndAsync(response, judge.Usage, attempt.Client); // it closed without the last event
            }

            return failure != AttemptFailure.None ? failure : judge.IsComplete ? AttemptFailure.None : AttemptFailure.Cut;
        }
    }

    /// <summary>Ends a stream of which nothing but its end is missing.</summary>
    public async Task FinishAsync(HttpResponse response, string? finishReason, CancellationToken cancellationToken)
    {
        _out.Truncate(0);
        if (finishReason is not null)
            Chunk(default, Encoding.UTF8.GetBytes($"\"{finishReason}\""), "null"u8, default, usage: null);

        Done(usage: null);
        await response.Body.WriteAsync(_out.Memory, cancellationToken);
    }

    public void Dispose() => _out.Dispose();

    private async Task EndAsync(HttpResponse response, Usage? usage, CancellationToken cancellationToken)
    {
        _out.Truncate(0);
        Done(usage);
        await response.Body.WriteAsync(_out.Memory, cancellationToken);
    }

    /// <summary>False when an event is no plain text.</summary>
    private bool Rewrite(ReadOnlySpan<byte> events, Usage? usage)
    {
        _out.Truncate(0);
        while (StreamJudge.EventEnd(events) is var end && !events.IsEmpty)
        {
            var data = StreamJudge.Payload(events[..(end > 0 ? end : events.Length)]);
            events = events[(end > 0 ? end : events.Length)..];
            var read = StreamEvent.Read(data);
            if (!read.HasNoChoices) // its usage is of one part: that of both goes out with the end
            {
                answer.Add(data, read);
            }

            if (read.HasMore)
                return false;

            if (read.Signs.HasFlag(EventSigns.Done))
            {
                Done(usage);
            }
            else if ((read.Signs & (EventSigns.Content | EventSigns.Finish)) != 0)
            {
                var finish = read.FinishReason.IsPresent ? read.FinishReason.Of(data) : "null"u8;
                var ids = _tokenIds && read.TokenIds.IsPresent ? read.TokenIds.Of(data) : default;
                Chunk(read.Text.IsPresent ? read.Text.Of(data) : default, finish,
                    read.StopReason.IsPresent ? read.StopReason.Of(data) : "null"u8, ids, read.Usage);
            }
        }

        return true;
    }

    private void Chunk(
        ReadOnlySpan<byte> text, ReadOnlySpan<byte> finish, ReadOnlySpan<byte> stopReason, ReadOnlySpan<byte> ids, Usage? usage)
    {
        text = text.StartsWith("\""u8) ? text : "\"\""u8;
        _out.Append("data: "u8);
        _out.Append(answer.Head);
        if (operation == InferenceOperation.Chat)
        {
            _out.Append("\"choices\":[{\"index\":0,\"delta\":{\"content\":"u8);
            _out.Append(text);
            _out.Append("},\"logprobs\":null,\"finish_reason\":"u8);
        }
        else
        {
            _out.Append("\"choices\":[{\"index\":0,\"text\":"u8);
            _out.Append(text);
            _out.Append(",\"logprobs\":null,\"finish_reason\":"u8);
        }

        _out.Append(finish);
        if (!finish.SequenceEqual("null"u8) || operation == InferenceOperation.Completion)
        {
            _out.Append(",\"stop_reason\":"u8);
            _out.Append(stopReason);
        }

        if (!ids.IsEmpty)
        {
            _out.Append(",\"token_ids\":"u8);
            _out.Append(ids);
        }

        _out.Append("}]"u8);
        if (_runningUsage && Prompt(usage) is > 0 and var prompt)
            Write(prompt, usage);

        _out.Append("}\n\n"u8);
    }

    private void Done(Usage? usage)
    {
        if (_usage && Prompt(usage) is > 0 and var prompt)
        {
            _out.Append("data: "u8);
            _out.Append(answer.Head);
            _out.Append("\"choices\":[]"u8);
            Write(prompt, usage);
            _out.Append("}\n\n"u8);
        }

        _out.Append("data: [DONE]\n\n"u8);
    }

    /// <summary>How large the client's prompt is; zero where no server has told it: no bill is better than a wrong one.</summary>
    private int Prompt(Usage? usage) => _prompt > 0 ? _prompt : (usage?.PromptTokens ?? 0) - _before;

    /// <summary>The prompt is counted once, and of the answer all that the client got.</summary>
    private void Write(int prompt, Usage? usage)
    {
        var completion = _before + (usage?.CompletionTokens ?? 0);
        _out.Append(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
            $",\"usage\":{{\"prompt_tokens\":{prompt},\"total_tokens\":{prompt + completion},\"completion_tokens\":{completion}}}")));
    }
}
