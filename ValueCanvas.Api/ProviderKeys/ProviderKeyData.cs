using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.ProviderKeys;

/// <summary>What is shown of a key.</summary>
internal sealed record ProviderKeyData(string Provider, string LastFour, DateTimeOffset SetAt);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ProviderKeyBody))]
[JsonSerializable(typeof(Envelope<ProviderKeyData>))]
[JsonSerializable(typeof(Envelope<IReadOnlyList<ProviderKeyData>>))]
internal sealed partial class ProviderKeyContext : JsonSerializerContext;
