using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Api.Audit;

/// <summary>What a feature says beside the event, made fit for the database.</summary>
[JsonSerializable(typeof(Dictionary<string, string?>))]
internal sealed partial class AuditDetailsContext : JsonSerializerContext
{
    private const int MostDetails = 16;
    private const int LongestDetail = 200;

    /// <summary>Small, whatever the feature said: a log that callers can make large is one that they can fill.</summary>
    public static string? Write(IReadOnlyList<(string Name, string? Value)> details)
    {
        if (details.Count == 0)
            return null;
        var small = new Dictionary<string, string?>();
        foreach (var (name, value) in details.Take(MostDetails))
            small[name] = Text(value, LongestDetail);
        return JsonSerializer.Serialize(small, Default.DictionaryStringString);
    }

    /// <summary>What PostgreSQL can store, cut to a length.</summary>
    public static string? Text(string? value, int most)
    {
        if (value is null)
            return null;
        value = value.Replace('\0', ' ');
        if (value.Length > most)
            value = value[..(char.IsHighSurrogate(value[most - 1]) ? most - 1 : most)];
        // A lone surrogate is no text.
        return value.Any(char.IsSurrogate) ? string.Concat(value.EnumerateRunes()) : value;
    }
}
