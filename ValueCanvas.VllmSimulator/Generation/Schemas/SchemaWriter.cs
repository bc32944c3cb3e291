using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using ValueCanvas.VllmSimulator.Generation.Canvases;

namespace ValueCanvas.VllmSimulator.Generation.Schemas;

/// <summary>Where in the document a value stands: what its text should be about.</summary>
internal readonly record struct Place(string Name, string? Block, int Index, int Depth, bool InList)
{
    public Place Property(string name) => new(name, CanvasBlocks.KeyOf(name) ?? Block, Index, Depth + 1, InList);

    public Place Item(int index) => this with { Index = index, Depth = Depth + 1, InList = true };
}

/// <summary>Writes a document that is valid against a JSON schema, its texts drawn from the request's subject.</summary>
internal sealed class SchemaWriter : IDisposable
{
    private const int SimplestFrom = 8;
    private const int MaxDepth = 60;
    private const int MaxValues = 20_000;
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly JsonElement _root;
    private readonly ulong _variant;
    private readonly StringValues _strings;
    private readonly NumberValues _numbers;
    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private readonly Utf8JsonWriter _json;
    private int _values;

    private SchemaWriter(JsonElement schema, Subject subject, ulong variant)
    {
        _root = schema;
        _variant = variant;
        _strings = new StringValues(subject, variant);
        _numbers = new NumberValues(variant);
        _json = new Utf8JsonWriter(_buffer, Readable);
    }

    /// <exception cref="UnsupportedSchemaException">The schema is not one, or nothing of a sane size is valid against it.</exception>
    public static string Write(JsonElement schema, Subject subject, ulong variant)
    {
        using var writer = new SchemaWriter(schema, subject, variant);
        writer.Value(schema, new Place("", null, 0, 0, false));
        writer._json.Flush();
        return Encoding.UTF8.GetString(writer._buffer.WrittenSpan);
    }

    public void Dispose() => _json.Dispose();

    private void Value(JsonElement schema, Place place)
    {
        if (place.Depth > MaxDepth)
            throw new UnsupportedSchemaException("The schema requires itself inside itself without end.");
        if (++_values > MaxValues)
            throw new UnsupportedSchemaException($"The smallest valid document has more than {MaxValues} values.");

        var view = SchemaView.Of(schema, _root, place.Index, place.Depth > SimplestFrom);
        if (view.IsNever)
            throw new UnsupportedSchemaException("The schema is false where a value is required.");
        if (view.TryGet("const", out var constant))
            constant.WriteTo(_json);
        else if (view.TryGet("enum", out var choices) && choices.ValueKind == JsonValueKind.Array)
            Choice(choices, place);
        else
            Typed(view, place);
    }

    private void Choice(JsonElement choices, Place place)
    {
        if (choices.GetArrayLength() == 0)
            throw new UnsupportedSchemaException("An 'enum' of the schema is empty.");
        choices[(int)((_variant + (ulong)place.Index + (ulong)place.Name.Length) % (ulong)choices.GetArrayLength())].WriteTo(_json);
    }

    private void Typed(SchemaView view, Place place)
    {
        switch (TypeOf(view))
        {
            case "object": Object(view, place); break;
            case "array": Array(view, place); break;
            case "integer": _numbers.Write(_json, view, place, whole: true); break;
            case "number": _numbers.Write(_json, view, place, whole: false); break;
            case "boolean": _json.WriteBooleanValue((_variant + (ulong)place.Name.Length + (ulong)place.Index) % 2 == 0); break;
            case "null": _json.WriteNullValue(); break;
            case "string": _json.WriteStringValue(_strings.Get(view, place)); break;
            case var other: throw new UnsupportedSchemaException($"The schema's type '{other}' is not one of JSON's.");
        }
    }

    private static string TypeOf(SchemaView view)
    {
        var types = view.Types().ToList();
        if (types.Count > 0)
            return types.Find(type => type != "null") ?? "null";
        if (view.TryGet("properties", out _) || view.TryGet("required", out _) || view.TryGet("additionalProperties", out _))
            return "object";
        if (view.TryGet("items", out _) || view.TryGet("prefixItems", out _) || view.TryGet("minItems", out _))
            return "array";
        return view.TryGet("minimum", out _) || view.TryGet("maximum", out _) || view.TryGet("multipleOf", out _) ? "number" : "string";
    }

    private void Object(SchemaView view, Place place)
    {
        var properties = new Dictionary<string, JsonElement>();
        foreach (var declared in view.All("properties").Where(item => item.ValueKind == JsonValueKind.Object))
        {
            foreach (var property in declared.EnumerateObject())
                properties.TryAdd(property.Name, property.Value);
        }
        var required = view.All("required").Where(item => item.ValueKind == JsonValueKind.Array)
            .SelectMany(item => item.EnumerateArray()).Select(item => item.GetString() ?? "").Distinct().ToList();

        // Optional properties are filled too, except deep down, where a recursive schema would never end.
        var names = place.Depth > SimplestFrom ? required : [.. properties.Keys.Union(required)];
        var most = Math.Max(view.Count("maxProperties", largest: false) ?? int.MaxValue, required.Count);
        if (names.Count > most)
            names = [.. required.Concat(names.Except(required)).Take(most)];
        var least = view.Count("minProperties", largest: true) ?? (names.Count == 0 && view.TryGet("additionalProperties", out var open)
            && open.ValueKind == JsonValueKind.Object ? 2 : 0);
        if (least > MaxValues)
            throw new UnsupportedSchemaException($"minProperties is more than {MaxValues}.");
        for (var i = 1; names.Count < Math.Min(least, most); i++)
        {
            var name = properties.Keys.FirstOrDefault(key => !names.Contains(key)) ?? $"entry_{i}";
            if (!names.Contains(name))
                names.Add(name);
        }

        _json.WriteStartObject();
        foreach (var name in names)
        {
            if (!properties.TryGetValue(name, out var schema))
                schema = Undeclared(view, name);
            else if (schema.ValueKind == JsonValueKind.False)
                continue;
            _json.WritePropertyName(name);
            Value(schema, place.Property(name));
        }
        _json.WriteEndObject();
    }

    private static JsonElement Undeclared(SchemaView view, string name)
    {
        foreach (var patterns in view.All("patternProperties").Where(item => item.ValueKind == JsonValueKind.Object))
        {
            foreach (var pattern in patterns.EnumerateObject())
            {
                if (Patterns.IsMatch(pattern.Name, name))
                    return pattern.Value;
            }
        }
        return view.TryGet("additionalProperties", out var additional) && additional.ValueKind == JsonValueKind.Object ? additional
            : AnyString;
    }

    private static JsonElement AnyString { get; } = JsonDocument.Parse("""{"type":"string"}""").RootElement;

    private void Array(SchemaView view, Place place)
    {
        var least = view.Count("minItems", largest: true) ?? 0;
        var most = view.Count("maxItems", largest: false) ?? int.MaxValue;
        var prefix = view.TryGet("prefixItems", out var tuple) && tuple.ValueKind == JsonValueKind.Array ? tuple.GetArrayLength() : 0;
        var hasItems = view.TryGet("items", out var items);
        if (hasItems && items.ValueKind == JsonValueKind.Array)
        {
            (tuple, prefix) = (items, items.GetArrayLength());
            hasItems = view.TryGet("additionalItems", out items);
        }
        if (hasItems && items.ValueKind == JsonValueKind.False)
            most = Math.Min(most, prefix);

        var wanted = prefix > 0 ? prefix : place.Block is null ? 2 + (int)(_variant % 2)
            : Math.Min(3 + (int)((_variant + (ulong)place.Name.Length) % 3), _strings.Available(place.Block));
        if (place.Depth > SimplestFrom)
            wanted = prefix;
        var count = Math.Max(least, Math.Min(wanted, most));
        if (view.TryGet("uniqueItems", out var unique) && unique.ValueKind == JsonValueKind.True && hasItems)
            count = Math.Max(least, Math.Min(count, Distinct(items)));
        if (count > MaxValues)
            throw new UnsupportedSchemaException($"minItems is more than {MaxValues}.");

        _json.WriteStartArray();
        for (var i = 0; i < count; i++)
            Value(i < prefix ? tuple[i] : hasItems ? items : AnyString, place.Item(i));
        _json.WriteEndArray();
    }

    private int Distinct(JsonElement items)
    {
        var view = SchemaView.Of(items, _root, 0, simplest: false);
        if (view.TryGet("enum", out var choices) && choices.ValueKind == JsonValueKind.Array)
            return choices.GetArrayLength();
        if (view.TryGet("const", out _))
            return 1;
        return view.Types().FirstOrDefault() == "boolean" ? 2 : int.MaxValue;
    }
}

/// <summary>Regular expressions of schemas, which are a client's: bounded in time, and no match when they are not valid.</summary>
internal static class Patterns
{
    public static bool IsMatch(string pattern, string text)
    {
        try
        {
            return Regex.IsMatch(text, pattern, RegexOptions.ECMAScript, TimeSpan.FromMilliseconds(50));
        }
        catch (Exception e) when (e is ArgumentException or RegexMatchTimeoutException)
        {
            return false;
        }
    }
}
