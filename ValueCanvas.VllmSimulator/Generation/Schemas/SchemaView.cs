using System.Text.Json;

namespace ValueCanvas.VllmSimulator.Generation.Schemas;

/// <summary>The schema is broken, or asks for what no document can be: the request is refused with the message.</summary>
internal sealed class UnsupportedSchemaException(string message) : Exception(message);

/// <summary>
/// A schema with its references followed, its allOf members merged in and one branch of each anyOf/oneOf chosen: a list of parts that
/// all hold at once. Keywords are looked up over all of them, bounds being the strictest.
/// </summary>
internal sealed class SchemaView
{
    private const int MaxParts = 64;
    private readonly List<JsonElement> _parts = [];

    private SchemaView()
    {
    }

    public static SchemaView Of(JsonElement schema, JsonElement root, int branch, bool simplest)
    {
        var view = new SchemaView();
        view.Add(schema, root, branch, simplest);
        return view;
    }

    /// <summary>False when the schema is <c>false</c> somewhere: nothing is valid.</summary>
    public bool IsNever { get; private set; }

    public bool TryGet(string keyword, out JsonElement value)
    {
        foreach (var part in _parts)
        {
            if (part.TryGetProperty(keyword, out value))
                return true;
        }
        value = default;
        return false;
    }

    public IEnumerable<JsonElement> All(string keyword)
    {
        foreach (var part in _parts)
        {
            if (part.TryGetProperty(keyword, out var value))
                yield return value;
        }
    }

    public int? Count(string keyword, bool largest)
    {
        int? result = null;
        foreach (var value in All(keyword))
        {
            if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out var number))
                continue;
            var count = (int)Math.Clamp(number, 0, int.MaxValue);
            result = result is null ? count : largest ? Math.Max(result.Value, count) : Math.Min(result.Value, count);
        }
        return result;
    }

    public IEnumerable<string> Types()
    {
        if (!TryGet("type", out var type))
            return [];
        if (type.ValueKind == JsonValueKind.String)
            return [type.GetString()!];
        return type.ValueKind == JsonValueKind.Array
            ? [.. type.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)]
            : throw new UnsupportedSchemaException("The schema's 'type' must be a string or an array of strings.");
    }

    private void Add(JsonElement schema, JsonElement root, int branch, bool simplest)
    {
        if (schema.ValueKind is JsonValueKind.True)
            return;
        if (schema.ValueKind is JsonValueKind.False)
        {
            IsNever = true;
            return;
        }
        if (schema.ValueKind != JsonValueKind.Object)
            throw new UnsupportedSchemaException("A JSON schema must be an object or a boolean.");
        if (_parts.Count >= MaxParts)
            throw new UnsupportedSchemaException("The schema refers to itself without end ($ref or allOf).");

        _parts.Add(schema);
        if (schema.TryGetProperty("$ref", out var reference))
            Add(Resolve(reference, root), root, branch, simplest);
        if (schema.TryGetProperty("allOf", out var all) && all.ValueKind == JsonValueKind.Array)
        {
            foreach (var member in all.EnumerateArray())
                Add(member, root, branch, simplest);
        }
        foreach (var keyword in (ReadOnlySpan<string>)["anyOf", "oneOf"])
        {
            if (schema.TryGetProperty(keyword, out var options) && options.ValueKind == JsonValueKind.Array && options.GetArrayLength() > 0)
                Add(Choose(options, root, branch, simplest), root, branch, simplest);
        }
    }

    // Something rather than null, except deep inside a recursive schema, where the simplest branch ends it.
    private static JsonElement Choose(JsonElement options, JsonElement root, int branch, bool simplest)
    {
        var ranked = options.EnumerateArray().Where(option => option.ValueKind != JsonValueKind.False)
            .OrderBy(option => Rank(option, root, simplest)).ToArray();
        if (ranked.Length == 0)
            throw new UnsupportedSchemaException("Every branch of an anyOf or oneOf is false.");

        var best = ranked.TakeWhile(option => Rank(option, root, simplest) == Rank(ranked[0], root, simplest)).ToArray();
        return best[branch % best.Length];
    }

    private static int Rank(JsonElement option, JsonElement root, bool simplest)
    {
        for (var i = 0; i < 16 && option.ValueKind == JsonValueKind.Object && option.TryGetProperty("$ref", out var reference); i++)
            option = Resolve(reference, root);
        if (option.ValueKind != JsonValueKind.Object || !option.TryGetProperty("type", out var type)
            || type.ValueKind != JsonValueKind.String)
        {
            return simplest ? 1 : 0;
        }

        return type.GetString() switch
        {
            "null" => simplest ? 0 : 9,
            "object" or "array" => simplest ? 2 : 0,
            _ => simplest ? 1 : 0,
        };
    }

    private static JsonElement Resolve(JsonElement reference, JsonElement root)
    {
        var pointer = reference.ValueKind == JsonValueKind.String ? reference.GetString()! : "";
        if (pointer is "#")
            return root;
        if (!pointer.StartsWith("#/", StringComparison.Ordinal))
            throw new UnsupportedSchemaException($"The reference '{pointer}' does not point into the schema itself ('#/…').");

        var target = root;
        foreach (var segment in pointer[2..].Split('/'))
        {
            var name = Uri.UnescapeDataString(segment).Replace("~1", "/").Replace("~0", "~");
            var found = target.ValueKind switch
            {
                JsonValueKind.Object => target.TryGetProperty(name, out target),
                JsonValueKind.Array when int.TryParse(name, out var index) && index >= 0 && index < target.GetArrayLength() => At(index),
                _ => false,
            };
            if (!found)
                throw new UnsupportedSchemaException($"The reference '{pointer}' points to nothing in the schema.");

            bool At(int index)
            {
                target = target[index];
                return true;
            }
        }
        return target;
    }
}
