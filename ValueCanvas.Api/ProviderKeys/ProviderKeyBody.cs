using System.Text.Json.Serialization;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.ProviderKeys;

/// <summary>Body of <c>PUT /api/provider-keys/{provider}</c>: the key as the provider gave it.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ProviderKeyBody(string? Key) : IRequestBody
{
    // Of a shorter one its last four would be too much to show.
    private const int Shortest = 16;
    private const int Longest = 512;

    public void Validate(RequestErrors errors)
    {
        if (Key is not { Length: >= Shortest and <= Longest } || Key.Any(c => c is <= ' ' or > '~'))
            errors.Add("key", $"must be the provider's key: {Shortest} to {Longest} visible ASCII characters without spaces");
    }

    /// <summary>Without the key: a record would print it.</summary>
    public override string ToString() => nameof(ProviderKeyBody);
}
