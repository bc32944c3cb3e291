using System.Text.Json;

namespace ValueCanvas.Core.Jobs;

/// <summary>What a job of type <c>batch</c> takes: <c>requests</c>, each with the fields of a job of type <c>chat</c>.</summary>
public static class BatchArgs
{
    public const int MostRequests = 100;

    public static IEnumerable<(string Field, string Problem)> Validate(IReadOnlyDictionary<string, JsonElement> variables)
    {
        foreach (var name in variables.Keys.Where(name => name != "requests"))
            yield return ($"promptVariables.{name}", $"is nothing that {JobTypes.Batch} takes; it takes requests");
        if (!variables.TryGetValue("requests", out var requests) || requests.ValueKind is JsonValueKind.Null)
        {
            yield return ("promptVariables.requests", "is required");
            yield break;
        }

        if (requests.ValueKind != JsonValueKind.Array || requests.GetArrayLength() is < 1 or > MostRequests)
        {
            yield return ("promptVariables.requests", $"must be an array of 1 to {MostRequests} requests");
            yield break;
        }

        foreach (var (index, request) in requests.EnumerateArray().Index())
        {
            var field = $"promptVariables.requests[{index}]";
            if (request.ValueKind != JsonValueKind.Object)
            {
                yield return (field, "must be an object");
                continue;
            }

            foreach (var problem in ChatArgs.Validate(VariablesOf(request), field))
                yield return problem;
        }
    }

    /// <summary>The requests of variables that pass <see cref="Validate"/>.</summary>
    public static IReadOnlyList<IReadOnlyDictionary<string, JsonElement>> RequestsOf(IReadOnlyDictionary<string, JsonElement> variables) =>
        [.. variables["requests"].EnumerateArray().Select(VariablesOf)];

    private static Dictionary<string, JsonElement> VariablesOf(JsonElement request)
    {
        // Of a name that stands there twice the last counts, as everywhere in JSON here.
        var variables = new Dictionary<string, JsonElement>();
        foreach (var property in request.EnumerateObject())
            variables[property.Name] = property.Value;
        return variables;
    }
}
