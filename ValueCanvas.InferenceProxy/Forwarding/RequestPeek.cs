using System.Text.Json;
using System.Text.Unicode;
using ValueCanvas.InferenceProxy.Callers;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Json;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>What the proxy reads of a request: the model, where its JSON string stands in the body, whether a stream is asked for, where
/// the prompt stands, and what matters of the rest to a stream.</summary>
internal readonly record struct RequestPeek(
    string Model, int ModelStart, int ModelEnd, bool Stream, PromptFields Fields, StreamFields Options)
{
    /// <summary>How much depends on the answer, where the body says so.</summary>
    public RiskField? Risk { get; init; }

    // A refusal repeats the name.
    private const int LongestModel = 512;

    public static ProxyError? Read(ReadOnlySpan<byte> body, out RequestPeek peek)
    {
        peek = default;
        if (!Utf8.IsValid(body))
            return ProxyError.BadRequest("The request body is not valid UTF-8.");

        try
        {
            return ReadObject(body, out peek);
        }
        catch (JsonException e)
        {
            return ProxyError.BadRequest($"The request body is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine}).");
        }
        catch (InvalidOperationException)
        {
            return ProxyError.BadRequest("The field 'model' is not a valid JSON string.", "model"); // half of a surrogate pair
        }
    }

    private static ProxyError? ReadObject(ReadOnlySpan<byte> body, out RequestPeek peek)
    {
        peek = default;
        var reader = new JsonWalker(body);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return ProxyError.BadRequest("The request body must be a JSON object.");

        string? model = null;
        var (start, end, stream) = (0, 0, false);
        RiskField? risk = null;
        var fields = default(PromptFields);
        var options = default(StreamFields);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("model"u8))
            {
                reader.Read();
                if (reader.TokenType != JsonTokenType.String)
                    return ProxyError.BadRequest("The field 'model' must be a string.", "model");

                if (model is not null)
                {
                    // Readers differ in which one counts; the proxy must not route by one and the server answer by the other.
                    return ProxyError.BadRequest("The field 'model' stands in the body twice.", "model");
                }

                (model, start, end) = (reader.GetString(), reader.TokenStartIndex, reader.BytesConsumed);
            }
            else if (reader.ValueTextEquals("stream"u8))
            {
                reader.Read();
                if (reader.TokenType is not (JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null))
                    return ProxyError.BadRequest("The field 'stream' must be true or false.", "stream");

                stream = reader.TokenType == JsonTokenType.True;
            }
            else if (reader.ValueTextEquals(RiskField.Name))
            {
                if (risk is not null)
                    return ProxyError.BadRequest("The field 'risk_level' stands in the body twice.", "risk_level");

                var name = reader.TokenStartIndex;
                reader.Read();
                var value = reader.TokenStartIndex;
                reader.Skip();
                risk = RiskField.Of(body, name, value, reader.BytesConsumed);
            }
            else
            {
                options.Note(reader);
                fields.Skip(ref reader);
            }
        }

        reader.Read(); // anything after the object is an error
        if (string.IsNullOrEmpty(model))
            return ProxyError.BadRequest("The field 'model' is missing: name a model, GET /v1/models lists them.", "model");

        if (model.Length > LongestModel)
        {
            return ProxyError.BadRequest(
                $"The field 'model' is longer than {LongestModel} characters: GET /v1/models lists the models.", "model");
        }

        peek = new RequestPeek(model, start, end, stream, fields, options) { Risk = risk };
        return null;
    }
}
