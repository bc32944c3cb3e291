using System.Text.Json.Serialization;

namespace Aspire.Hosting.Orchestration;

/// <summary>Resource, endpoint, URL.</summary>
[JsonSourceGenerationOptions(WriteIndented = true)]
[JsonSerializable(typeof(Dictionary<string, Dictionary<string, string>>))]
internal sealed partial class EndpointsJson : JsonSerializerContext;
