using System.Text.Json;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Publishing;

/// <summary>How a deployment gets a parameter's value when nobody gives one.</summary>
internal static class ManifestParameterDefault
{
    public static void Write(Utf8JsonWriter json, ParameterDefault parameterDefault)
    {
        switch (parameterDefault)
        {
            case GenerateParameterDefault generated:
                Write(json, generated);
                break;
            case PersistedParameterDefault persisted:
                Write(json, persisted.Inner);
                break;
            default:
                json.WriteString("value", parameterDefault.GetDefaultValue());
                break;
        }
    }

    // Only what differs from "any character, no minimum of a kind".
    private static void Write(Utf8JsonWriter json, GenerateParameterDefault generated)
    {
        json.WriteStartObject("generate");
        json.WriteNumber("minLength", generated.MinLength);
        foreach (var (kind, wanted) in new[]
        {
            ("lower", generated.Lower), ("upper", generated.Upper), ("numeric", generated.Numeric), ("special", generated.Special),
        })
        {
            if (!wanted)
                json.WriteBoolean(kind, false);
        }

        foreach (var (kind, minimum) in new[]
        {
            ("minLower", generated.MinLower), ("minUpper", generated.MinUpper), ("minNumeric", generated.MinNumeric),
            ("minSpecial", generated.MinSpecial),
        })
        {
            if (minimum != 0)
                json.WriteNumber(kind, minimum);
        }

        json.WriteEndObject();
    }
}
