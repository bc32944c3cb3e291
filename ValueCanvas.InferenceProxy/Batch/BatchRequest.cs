using System.Text.Json;
using System.Text.Unicode;
using ValueCanvas.InferenceProxy.Errors;

namespace ValueCanvas.InferenceProxy.Batch;

/// <summary>The bodies of a batch's requests, as slices of the batch's own, and how many of them may be under way at the same
/// time.</summary>
internal sealed record BatchRequest(IReadOnlyList<ReadOnlyMemory<byte>> Requests, int Concurrency)
{
    private const int DefaultConcurrency = 16;

    // One deeper than a request's own limit allows, twice.
    private static readonly JsonReaderOptions Reading = new() { MaxDepth = 130 };

    public static ProxyError? Read(ReadOnlyMemory<byte> body, BatchOptions options, out BatchRequest batch)
    {
        batch = new BatchRequest([], Math.Min(DefaultConcurrency, options.MaxConcurrency));
        if (!Utf8.IsValid(body.Span))
            return ProxyError.BadRequest("The request body is not valid UTF-8.");

        try
        {
            return ReadObject(body, options, ref batch);
        }
        catch (JsonException e)
        {
            return ProxyError.BadRequest($"The request body is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine}).");
        }
    }

    private static ProxyError? ReadObject(ReadOnlyMemory<byte> body, BatchOptions options, ref BatchRequest batch)
    {
        var reader = new Utf8JsonReader(body.Span, Reading);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return ProxyError.BadRequest("The request body must be a JSON object.");

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (requests, concurrency) = (reader.ValueTextEquals("requests"u8), reader.ValueTextEquals("max_concurrency"u8));
            reader.Read();
            if (requests)
            {
                if (reader.TokenType != JsonTokenType.StartArray)
                    return ProxyError.BadRequest("The field 'requests' must be an array of request bodies.", "requests");

                batch = batch with { Requests = Slices(body, ref reader) };
            }
            else if (concurrency)
            {
                if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out var wanted)
                    || wanted < 1 || wanted > options.MaxConcurrency)
                {
                    return ProxyError.BadRequest(
                        $"The field 'max_concurrency' must be a number from 1 to {options.MaxConcurrency}.", "max_concurrency");
                }

                batch = batch with { Concurrency = wanted };
            }
            else
            {
                reader.Skip();
            }
        }

        reader.Read(); // anything after the object is an error
        return batch.Requests.Count >= 1 && batch.Requests.Count <= options.MaxRequests
            ? null
            : ProxyError.BadRequest($"The field 'requests' must hold from 1 to {options.MaxRequests} request bodies.", "requests");
    }

    private static List<ReadOnlyMemory<byte>> Slices(ReadOnlyMemory<byte> body, ref Utf8JsonReader reader)
    {
        var slices = new List<ReadOnlyMemory<byte>>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            slices.Add(body[start..(int)reader.BytesConsumed]);
        }

        return slices;
    }
}
