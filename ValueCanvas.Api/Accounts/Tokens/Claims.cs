using System.Text.Json;

namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>Claims of a token (RFC 7519) as they are expected: anything of another type is as good as absent.</summary>
internal readonly struct Claims(JsonElement payload)
{
    // Beyond these DateTimeOffset has no time.
    private const double MinSeconds = -62_135_596_800;
    private const double MaxSeconds = 253_402_300_799;

    public string? Text(string name) =>
        payload.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? Safe(value) : null;

    public bool Is(string name) => payload.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    public Guid? Id(string name) => Guid.TryParseExact(Text(name), "D", out var id) ? id : null;

    public DateTimeOffset? Time(string name) =>
        payload.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number
        && value.TryGetDouble(out var seconds) && seconds is >= MinSeconds and <= MaxSeconds
            ? DateTimeOffset.UnixEpoch.AddSeconds(seconds)
            : null;

    /// <summary>One text, or an array of texts.</summary>
    public IReadOnlyList<string> Texts(string name)
    {
        if (!payload.TryGetProperty(name, out var value))
            return [];
        return value.ValueKind switch
        {
            JsonValueKind.String when Safe(value) is { } text => [text],
            JsonValueKind.Array when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String && Safe(item) is not null) =>
                [.. value.EnumerateArray().Select(item => item.GetString()!)],
            _ => [],
        };
    }

    private static string? Safe(JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair.
            return null;
        }
    }
}
