using System.Net;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>Status and headers of an answer under way.</summary>
internal sealed record FlightHead(
    int Status, IReadOnlyList<KeyValuePair<string, string>> Headers, IReadOnlyList<KeyValuePair<string, string>> ContentHeaders)
{
    public bool IsOk => Status == (int)HttpStatusCode.OK;

    public bool IsStream => ContentHeaders.Any(header =>
        header.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)
        && header.Value.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase));

    public bool IsEncoded => ContentHeaders.Any(header => header.Key.Equals("Content-Encoding", StringComparison.OrdinalIgnoreCase));

    public string? Provider => this[InferenceClient.ProviderHeader];

    public string? this[string name] =>
        Headers.FirstOrDefault(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    public static FlightHead Of(HttpResponseMessage response) => new(
        (int)response.StatusCode,
        [.. response.Headers.NonValidated.Select(header => KeyValuePair.Create(header.Key, header.Value.ToString()))],
        [.. response.Content.Headers.NonValidated.Select(header => KeyValuePair.Create(header.Key, header.Value.ToString()))]);

    /// <summary>Null for an answer that cannot be kept.</summary>
    public AnswerRecorder? Recorder(AnswerKind kind, ResponseCacheOptions options) =>
        IsOk && !IsEncoded ? new(kind, IsStream, options.MaxAnswerBytes, options.MaxFlightBytes) : null;

    public HttpResponseMessage ToResponse(Stream body)
    {
        var response = new HttpResponseMessage((HttpStatusCode)Status) { Content = new StreamContent(body) };
        foreach (var (name, value) in Headers)
            response.Headers.TryAddWithoutValidation(name, value);
        foreach (var (name, value) in ContentHeaders)
            response.Content.Headers.TryAddWithoutValidation(name, value);
        return response;
    }

    public void Write(BinaryWriter writer)
    {
        writer.Write(Status);
        foreach (var headers in (IReadOnlyList<KeyValuePair<string, string>>[])[Headers, ContentHeaders])
        {
            writer.Write(headers.Count);
            foreach (var (name, value) in headers)
            {
                writer.Write(name);
                writer.Write(value);
            }
        }
    }

    public static FlightHead Read(BinaryReader reader)
    {
        var status = reader.ReadInt32();
        return new(status, ReadHeaders(reader), ReadHeaders(reader));
    }

    private static KeyValuePair<string, string>[] ReadHeaders(BinaryReader reader)
    {
        var headers = new KeyValuePair<string, string>[Math.Min(reader.ReadInt32(), 1000)];
        for (var i = 0; i < headers.Length; i++)
            headers[i] = new(reader.ReadString(), reader.ReadString());
        return headers;
    }
}
