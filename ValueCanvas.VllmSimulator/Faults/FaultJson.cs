using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.VllmSimulator.Faults;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Fault))]
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
internal sealed partial class FaultJson : JsonSerializerContext;
