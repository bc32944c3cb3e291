using System.Text;
using System.Text.Json;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>
/// An object that grows with the pieces of a stream: texts are joined, lists continued, whatever else is said again replaced.
/// </summary>
internal sealed class MergedObject
{
    // Said once, or again in every piece.
    private static readonly HashSet<string> Whole = new(StringComparer.Ordinal)
    {
        "role", "type", "id", "name", "model", "object", "finish_reason", "stop_reason",
    };

    private readonly List<KeyValuePair<string, object?>> _members = [];

    public bool Has(string name) => IndexOf(name) >= 0;

    public object? this[string name] => IndexOf(name) is >= 0 and var at ? _members[at].Value : null;

    public void Set(string name, object? value)
    {
        if (IndexOf(name) is >= 0 and var at)
            _members[at] = new(name, value);
        else
            _members.Add(new(name, value));
    }

    public void Remove(string name)
    {
        if (IndexOf(name) is >= 0 and var at)
            _members.RemoveAt(at);
    }

    public void Merge(JsonElement piece)
    {
        foreach (var member in piece.EnumerateObject())
            Merge(member.Name, member.Value);
    }

    public void Merge(string name, JsonElement value)
    {
        var have = this[name];
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                if (!Has(name))
                    Set(name, null);
                break;
            case JsonValueKind.String when !Whole.Contains(name):
                if (have is StringBuilder text)
                    text.Append(value.GetString());
                else
                    Set(name, new StringBuilder(value.GetString()));
                break;
            case JsonValueKind.Object:
                var child = have as MergedObject ?? new MergedObject();
                child.Merge(value);
                Set(name, child);
                break;
            case JsonValueKind.Array:
                var list = have as MergedList ?? new MergedList();
                list.Merge(value);
                Set(name, list);
                break;
            default:
                Set(name, value.Clone());
                break;
        }
    }

    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        WriteMembers(writer);
        writer.WriteEndObject();
    }

    public void WriteMembers(Utf8JsonWriter writer)
    {
        foreach (var (name, value) in _members)
        {
            writer.WritePropertyName(name);
            MergedList.WriteValue(writer, value);
        }
    }

    private int IndexOf(string name) => _members.FindIndex(member => member.Key == name);
}

/// <summary>A list that grows: what names its index is merged with that item (calls of tools), everything else comes behind.</summary>
internal sealed class MergedList
{
    private const int MostIndexed = 1024;

    private readonly List<object?> _items = [];

    public IReadOnlyList<object?> Items => _items;

    public void Merge(JsonElement piece)
    {
        foreach (var item in piece.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.Object && item.TryGetProperty("index", out var index) && index.TryGetInt32(out var at)
                && at is >= 0 and < MostIndexed)
            {
                while (_items.Count <= at)
                    _items.Add(new MergedObject());
                (_items[at] as MergedObject)?.Merge(item);
            }
            else
            {
                _items.Add(item.Clone());
            }
        }
    }

    public static void WriteValue(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteNullValue();
                break;
            case StringBuilder text:
                writer.WriteStringValue(text.ToString());
                break;
            case MergedObject child:
                child.Write(writer);
                break;
            case MergedList list:
                writer.WriteStartArray();
                foreach (var item in list._items)
                    WriteValue(writer, item);
                writer.WriteEndArray();
                break;
            case JsonElement element:
                element.WriteTo(writer);
                break;
            default:
                throw new InvalidOperationException($"{value.GetType()} is not part of an answer.");
        }
    }
}
