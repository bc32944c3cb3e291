using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Requests;

/// <summary>Turns the serializer's exceptions, which speak of .NET types, into what a caller can act on.</summary>
internal static class JsonProblems
{
    public static RequestException Explain(JsonException exception, JsonTypeInfo type)
    {
        // A reader's exception inside: the text is not JSON. None: it is, but of the wrong shape.
        if (exception.InnerException is JsonException)
        {
            var place = exception is { LineNumber: { } line, BytePositionInLine: { } position }
                ? $" (line {line + 1}, byte {position + 1})"
                : "";
            return new(
                StatusCodes.Status400BadRequest,
                $"The body is not valid JSON{place}, or is nested more than {MaxDepth(type)} levels deep.");
        }

        var field = exception.Path is { Length: > 2 } path && path.StartsWith("$.", StringComparison.Ordinal) ? path[2..] : null;
        if (field is null)
            return new(StatusCodes.Status400BadRequest, "The body is not a JSON object. Send one, such as {\"prompt\":\"…\"}.");
        if (type.UnmappedMemberHandling == JsonUnmappedMemberHandling.Disallow
            && !type.Properties.Any(p => p.Name == field.Split('.', '[')[0]))
        {
            return RequestException.Invalid(field, "is nothing that can be set here");
        }

        return RequestException.Invalid(new Dictionary<string, string[]> { [field] = [$"must be {Expected(field, type)}"] });
    }

    private static int MaxDepth(JsonTypeInfo type) => type.Options.MaxDepth == 0 ? 64 : type.Options.MaxDepth;

    private static string Expected(string field, JsonTypeInfo type)
    {
        var current = type;
        var expected = type.Type;
        foreach (var segment in field.Split('.'))
        {
            var name = segment.Split('[')[0];
            if (current?.Properties.FirstOrDefault(p => p.Name == name) is not { } property)
                return "of the documented type";
            expected = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            current = type.Options.GetTypeInfo(expected);
            if (!segment.Contains('[', StringComparison.Ordinal) || current.ElementType is not { } element)
                continue;
            expected = element;
            current = type.Options.GetTypeInfo(element);
        }

        return Name(expected, current?.Kind);
    }

    private static string Name(Type type, JsonTypeInfoKind? kind) => Type.GetTypeCode(type) switch
    {
        TypeCode.String => "a string",
        TypeCode.Boolean => "true or false",
        TypeCode.Int32 or TypeCode.Int64 => "an integer",
        TypeCode.Double or TypeCode.Decimal => "a number",
        _ => kind switch
        {
            JsonTypeInfoKind.Enumerable => "an array",
            JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary => "an object",
            _ => "of the documented type",
        },
    };
}
