using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Resuming;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// Takes out of a stream's events what the gateway itself asked for, in place, so that the client's stream is the one that it would have
/// been. What it takes out and what passes is noted for going on elsewhere.
/// </summary>
internal sealed class EventFilter(StreamAdditions added, AnswerSoFar? answer)
{
    /// <summary>So many bytes before the events of a read are enough.</summary>
    public const int Room = 16;

    private const int MostCuts = 3;

    private static ReadOnlySpan<byte> Null => "null"u8;

    /// <summary>Moves what is left of an event to the start of the bytes, and says how much that is.</summary>
    /// <param name="bytes">Some free bytes and the event behind them.</param>
    /// <param name="from">Where it begins.</param>
    /// <param name="data">Its payload.</param>
    /// <param name="at">
    /// Where that begins; negative where it is a copy of several lines, in which no part can be found. No model server sends such.
    /// </param>
    /// <param name="read">What it says.</param>
    public int Apply(Span<byte> bytes, int from, ReadOnlySpan<byte> data, int at, in StreamEvent read)
    {
        answer?.Add(data, read);
        if ((added.Usage && read.HasNoChoices && read.Usage is not null) || IsOnlyForIds(read))
            return 0;

        Span<Cut> cuts = stackalloc Cut[MostCuts];
        var count = 0;
        if (at >= 0 && read.UsageField.IsPresent && added.ChunkUsage && !read.HasNoChoices)
            cuts[count++] = Cut.Property(data, read.UsageField);

        if (at >= 0 && added.TokenIds)
        {
            count += Cut.Ids(data, read.TokenIds, from, ref cuts[count]) ? 1 : 0;
            count += Cut.Ids(data, read.PromptTokenIds, from, ref cuts[count]) ? 1 : 0;
        }

        cuts = cuts[..count];
        cuts.Sort(static (one, other) => one.Start.CompareTo(other.Start));
        return Apply(bytes, from, at, cuts);
    }

    /// <summary>With ids asked for, vLLM also sends a chunk for tokens that mean nothing to the client.</summary>
    private bool IsOnlyForIds(in StreamEvent read) =>
        added.TokenIds && read.HasEmptyDelta && read.TokenIds.IsPresent && read.Signs == EventSigns.None;

    private static int Apply(Span<byte> bytes, int from, int at, ReadOnlySpan<Cut> cuts)
    {
        var to = 0;
        foreach (var cut in cuts)
        {
            to += Move(bytes, from, at + cut.Start, to);
            if (cut.ToNull)
            {
                Null.CopyTo(bytes[to..]);
                to += Null.Length;
            }

            from = at + cut.End;
        }

        return to + Move(bytes, from, bytes.Length, to);
    }

    private static int Move(Span<byte> bytes, int from, int end, int to)
    {
        if (from != to)
            bytes[from..end].CopyTo(bytes[to..]);

        return end - from;
    }

    private readonly record struct Cut(int Start, int End, bool ToNull)
    {
        /// <summary>The property with the comma before it, or else the one behind it.</summary>
        public static Cut Property(ReadOnlySpan<byte> data, JsonField field)
        {
            var before = data[..field.Name].TrimEnd(" \t\r\n"u8);
            if (before.EndsWith(","u8))
                return new Cut(before.Length - 1, field.End, ToNull: false);

            var behind = data[field.End..].TrimStart(" \t\r\n"u8);
            return new Cut(field.Name, behind.StartsWith(","u8) ? data.Length - behind.Length + 1 : field.End, ToNull: false);
        }

        /// <summary>Where vLLM is not asked for ids it writes null. That is longer than <c>[2]</c>: without free bytes before the event
        /// such a list goes with its name.</summary>
        public static bool Ids(ReadOnlySpan<byte> data, JsonField field, int free, ref Cut cut)
        {
            if (!field.IsPresent || data[field.Start] != (byte)'[')
                return false;

            cut = field.End - field.Start >= Null.Length || free >= Null.Length
                ? new Cut(field.Start, field.End, ToNull: true)
                : Property(data, field);
            return true;
        }
    }
}
