using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>Steps of a flight as they go from one instance to another, each sealed to its place.</summary>
internal sealed class StepFormat(Seal seal)
{
    private const byte Head = 1;
    private const byte Data = 2;
    private const byte End = 3;
    private const byte Failed = 4;

    public byte[] Write(Flight flight, int number, FlightPart part)
    {
        using var buffer = new MemoryStream(part.Bytes.Length + 64);
        using var writer = new BinaryWriter(buffer);
        if (part.Head is { } head)
        {
            writer.Write(Head);
            head.Write(writer);
        }
        else if (part.IsEnd)
        {
            writer.Write(part.Failure is null ? End : Failed);
            WriteEnd(writer, flight);
        }
        else
        {
            writer.Write(Data);
            writer.Write(part.Bytes.Span);
        }

        writer.Flush();
        return seal.Close(buffer.GetBuffer().AsSpan(0, (int)buffer.Length), Place(flight, flight.Id, number));
    }

    /// <summary>Null: it is not what it says.</summary>
    /// <param name="here">The flight of this instance that follows; what the end says of usage is written to its outcome.</param>
    /// <param name="there">The id of the one that is followed.</param>
    /// <param name="number">Which step.</param>
    /// <param name="content">Sealed.</param>
    /// <param name="isPaid">Somebody there has paid; of the end alone.</param>
    public FlightPart? Read(Flight here, Guid there, int number, ReadOnlyMemory<byte> content, out bool isPaid)
    {
        isPaid = true;
        if (seal.Open(content.Span, Place(here, there, number)) is not [var kind, ..] bytes)
            return null;
        try
        {
            using var reader = new BinaryReader(new MemoryStream(bytes, 1, bytes.Length - 1, writable: false));
            switch (kind)
            {
                case Head:
                    return new FlightPart { Head = FlightHead.Read(reader) };
                case Data:
                    return new FlightPart { Bytes = bytes.AsMemory(1) };
                case End or Failed:
                    isPaid = ReadEnd(reader, here.Outcome);
                    return new FlightPart
                    {
                        IsEnd = true,
                        Failure = kind == End ? null : new IOException("The answer broke off at the instance that asked for it."),
                    };
                default:
                    return null;
            }
        }
        catch (Exception e) when (e is IOException or ArgumentException or FormatException)
        {
            return null;
        }
    }

    // Only of the same question may a step be.
    private static byte[] Place(Flight flight, Guid there, int number) =>
        [.. "step"u8, .. flight.TenantId.ToByteArray(), .. flight.Key.ToBytes(), .. there.ToByteArray(), .. BitConverter.GetBytes(number)];

    private static void WriteEnd(BinaryWriter writer, Flight flight)
    {
        var outcome = flight.Outcome;
        writer.Write(!flight.IsUnpaid);
        writer.Write(outcome.IsComplete);
        writer.Write((byte)outcome.UsageSource);
        writer.Write(outcome.Model ?? "");
        writer.Write(outcome.Provider ?? "");
        writer.Write(outcome.Usage is not null);
        writer.Write(outcome.Usage?.InputTokens ?? 0);
        writer.Write(outcome.Usage?.OutputTokens ?? 0);
        writer.Write(outcome.Usage?.CachedInputTokens ?? 0);
        writer.Write(outcome.Usage?.ReasoningTokens ?? 0);
    }

    private static bool ReadEnd(BinaryReader reader, InferenceOutcome outcome)
    {
        var isPaid = reader.ReadBoolean();
        outcome.IsComplete = reader.ReadBoolean();
        outcome.UsageSource = (UsageSource)reader.ReadByte();
        outcome.Model = reader.ReadString() is { Length: > 0 } model ? model : null;
        outcome.Provider = reader.ReadString() is { Length: > 0 } provider ? provider : null;
        var hasUsage = reader.ReadBoolean();
        var usage = new TokenUsage(reader.ReadInt32(), reader.ReadInt32(), reader.ReadInt32(), reader.ReadInt32());
        outcome.Usage = hasUsage ? usage : null;
        return isPaid;
    }
}
