using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>Reads a stream's events as they pass and says at the end what it was worth.</summary>
internal sealed class StreamJudge
{
    private const int MostChoices = 128;

    private Dictionary<int, int>? _choices; // completion tokens so far, where there is more than one choice

    /// <summary>Something came that the client shall have: until then another replica can take over unseen.</summary>
    public bool HasContent { get; private set; }

    /// <summary>It has come to its end: a finish reason or <c>[DONE]</c>.</summary>
    public bool IsComplete => Signs.HasFlag(EventSigns.Done) || Signs.HasFlag(EventSigns.Finish);

    public bool IsDone => Signs.HasFlag(EventSigns.Done);

    /// <summary>The stream ended in an error that is the client's own.</summary>
    public bool IsClientFault => Signs.HasFlag(EventSigns.ClientFault);

    /// <summary>An error or a malformed event, if one came.</summary>
    public AttemptFailure Failure =>
        Signs.HasFlag(EventSigns.Malformed) ? AttemptFailure.Malformed
        : Signs.HasFlag(EventSigns.Error) && !IsClientFault ? AttemptFailure.ErrorEvent
        : AttemptFailure.None;

    /// <summary>What the server last said that the answer costs: so far while it runs, all of it at the end. Null until it says something.</summary>
    public Usage? Usage { get; private set; }

    /// <summary>Why it ended, as the last choice that did says.</summary>
    public string? FinishReason { get; private set; }

    /// <summary>Events with content: about as many as tokens, where the server says nothing better.</summary>
    public int ContentEvents { get; private set; }

    private EventSigns Signs { get; set; }

    /// <summary>Judges whole events and says how many bytes of them may pass: all up to a malformed one.</summary>
    public int Read(ReadOnlySpan<byte> bytes)
    {
        var passed = 0;
        while (!Signs.HasFlag(EventSigns.Malformed) && EventEnd(bytes[passed..]) is var length and > 0)
        {
            Judge(bytes.Slice(passed, length));
            passed += Signs.HasFlag(EventSigns.Malformed) ? 0 : length;
        }

        return passed;
    }

    /// <summary>Judges what stands at the stream's end without its empty line. False: half an event, which must not pass.</summary>
    public bool ReadLast(ReadOnlySpan<byte> bytes)
    {
        var before = Signs;
        Judge(bytes);
        if (!Signs.HasFlag(EventSigns.Malformed))
        {
            return true;
        }

        Signs = before; // it was cut, which is worse than malformed and has a name of its own
        return false;
    }

    /// <summary>The length of the first whole event with its empty line; zero when none is whole.</summary>
    internal static int EventEnd(ReadOnlySpan<byte> bytes)
    {
        for (var at = 0; bytes[at..].IndexOf((byte)'\n') is var next and >= 0;)
        {
            at += next + 1;
            var rest = bytes[at..];
            if (rest.StartsWith("\n"u8))
            {
                return at + 1;
            }

            if (rest.StartsWith("\r\n"u8))
            {
                return at + 2;
            }
        }

        return 0;
    }

    private void Judge(ReadOnlySpan<byte> whole)
    {
        ReadOnlySpan<byte> data = default;
        byte[]? joined = null;
        foreach (var range in whole.Split((byte)'\n'))
        {
            var line = whole[range];
            if (!line.StartsWith("data:"u8))
            {
                continue;
            }

            if (data.IsEmpty)
            {
                data = line[5..];
            }
            else
            {
                joined = [.. data, (byte)'\n', .. line[5..]];
                data = joined;
            }
        }

        data = data.Trim(" \t\r\n"u8);
        var read = StreamEvent.Read(data);
        Signs |= read.Signs;
        FinishReason = read.Signs.HasFlag(EventSigns.Finish) ? AnswerField.Short(read.FinishReason.Of(data)) : FinishReason;
        HasContent |= (Signs & (EventSigns.Content | EventSigns.Finish)) != 0;
        ContentEvents += read.Signs.HasFlag(EventSigns.Content) ? 1 : 0;
        if (read.Usage is { } usage)
        {
            Usage = read.HasNoChoices ? usage : Running(usage, read.Choice);
        }
    }

    /// <summary>While a stream runs, each of several choices is counted by itself.</summary>
    private Usage Running(Usage usage, int choice)
    {
        if ((choice == 0 && _choices is null) || choice is < 0 or > MostChoices)
        {
            return usage;
        }

        _choices ??= new() { [0] = Usage?.CompletionTokens ?? 0 };
        _choices[choice] = usage.CompletionTokens;
        return usage with { CompletionTokens = _choices.Values.Sum() };
    }
}
