namespace ValueCanvas.Core.Caching.Levels;

/// <summary>A call of a model, and the instance that makes it.</summary>
internal readonly record struct FlightName(Guid Instance, Guid Flight)
{
    public const int Bytes = 32;

    public static FlightName Read(ReadOnlySpan<byte> bytes) => new(new Guid(bytes[..16]), new Guid(bytes[16..Bytes]));

    public byte[] ToBytes() => [.. Instance.ToByteArray(), .. Flight.ToByteArray()];
}
