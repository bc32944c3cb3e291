using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Core.Jobs;

/// <summary>
/// The text that a job has made so far, in the attempt of one lease: what its checkpoint holds, and what is counted in
/// <see cref="JobTextPosition"/>s. An attempt that continues an earlier one begins with a part of its text.
/// </summary>
/// <param name="Bases">For each lease that made text, oldest first, how many bytes it took over from the one before.</param>
/// <param name="Text">All of the text.</param>
public sealed record JobText(IReadOnlyList<JobTextBase> Bases, string Text)
{
    private const int MostBases = 20;

    public static readonly JobText None = new([], "");

    /// <summary>The text of a checkpoint; null where it holds none.</summary>
    public static JobText? Parse(string checkpoint)
    {
        try
        {
            var text = JsonSerializer.Deserialize(checkpoint, JobTextContext.Default.JobText);
            return text is { Bases: not null, Text: not null } ? text : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public string ToJson() => JsonSerializer.Serialize(this, JobTextContext.Default.JobText);

    /// <summary>The beginning of another lease's attempt: with all of this text, or with none.</summary>
    public JobText Begin(long lease, bool keep) => new(
        [.. Bases.TakeLast(MostBases - 1), new(lease, keep ? System.Text.Encoding.UTF8.GetByteCount(Text) : 0)], keep ? Text : "");

    /// <summary>Whether text that was read up to there is the beginning of this one, so that reading can go on.</summary>
    public static bool Continues(IReadOnlyList<JobTextBase> bases, JobTextPosition position)
    {
        // Leases from before the oldest that is known may have had another text.
        if (position.Lease < (bases.Count > 0 ? bases[0].Lease : 0))
            return position.Offset == 0;
        return bases.Where(item => item.Lease > position.Lease).All(item => position.Offset <= item.Bytes);
    }
}

/// <param name="Lease">The lease of the attempt.</param>
/// <param name="Bytes">How much of its text, in bytes of UTF-8, is the beginning of the text before.</param>
public sealed record JobTextBase(long Lease, int Bytes);

/// <summary>A place in the text of a job, written <c>LEASE.OFFSET</c>: the id of the event that ends there.</summary>
/// <param name="Lease">The attempt, by its lease.</param>
/// <param name="Offset">Bytes of UTF-8 before it.</param>
public readonly record struct JobTextPosition(long Lease, int Offset)
{
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Lease}.{Offset}");

    public static bool TryParse(string? text, out JobTextPosition position)
    {
        position = default;
        if (text?.Split('.') is not [var lease, var offset]
            || !long.TryParse(lease, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var l)
            || !int.TryParse(offset, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var o))
        {
            return false;
        }

        position = new(l, o);
        return true;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(JobText))]
internal sealed partial class JobTextContext : JsonSerializerContext;
