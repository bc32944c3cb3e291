using System.Buffers;
using System.Buffers.Text;
using System.Net;
using System.Text;

namespace ValueCanvas.InferenceProxy.Http1;

/// <summary>Reads status and headers of an answer, strictly: what two readers could understand differently is refused.</summary>
internal sealed class Http1ResponseHead(Http1Connection connection)
{
    private const int LargestHead = 64 * 1024;

    private static readonly SearchValues<byte> NameBytes =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private Task<int>? _status;
    private bool _isHttp10;
    private int _read;

    /// <summary>The status of the next head, which may be an interim one. Asked again before it has come, it is the same wait.</summary>
    public Task<int> ReadStatusAsync(CancellationToken cancellationToken) => _status ??= StatusAsync(cancellationToken);

    /// <summary>Fills in status and headers, and gives the body.</summary>
    public async Task<HttpContent> ReadAsync(HttpResponseMessage response, bool reusable, CancellationToken cancellationToken)
    {
        int status;
        while ((status = await ReadStatusAsync(cancellationToken)) < 200)
        {
            _status = null;
            if (status == 101)
            {
                throw Malformed();
            }

            while (await LineAsync(cancellationToken) > 0)
            {
                Advance();
            }

            Advance();
        }

        response.StatusCode = (HttpStatusCode)status;
        var content = new Http1Content(connection);
        var framing = new Http1Framing { Close = !reusable || _isHttp10 };
        int length;
        while ((length = await LineAsync(cancellationToken)) > 0)
        {
            Header(connection.Received[..length], response, content, ref framing);
            Advance();
        }

        Advance();
        framing.End(hasNoBody: status is 204 or 304);
        content.Open(framing);
        return content;
    }

    private async Task<int> StatusAsync(CancellationToken cancellationToken)
    {
        var length = await LineAsync(cancellationToken);
        var status = Status(connection.Received[..length], out _isHttp10);
        Advance();
        return status;
    }

    private static int Status(ReadOnlySpan<byte> line, out bool isHttp10)
    {
        isHttp10 = line.StartsWith("HTTP/1.0 "u8);
        return (isHttp10 || line.StartsWith("HTTP/1.1 "u8)) && (line.Length == 12 || (line.Length > 12 && line[12] == ' '))
            && Utf8Parser.TryParse(line[9..12], out int status, out var digits) && digits == 3 && status >= 100
            ? status : throw Malformed();
    }

    private static void Header(ReadOnlySpan<byte> line, HttpResponseMessage response, Http1Content content, ref Http1Framing framing)
    {
        var colon = line.IndexOf((byte)':');
        if (colon <= 0 || line[..colon].ContainsAnyExcept(NameBytes))
        {
            throw Malformed(); // also a continued line: its meaning is disputed
        }

        var name = line[..colon];
        var value = line[(colon + 1)..].Trim(" \t"u8);
        if (framing.Reads(name, value) || value.ContainsAnyExceptInRange((byte)0x20, (byte)0x7e))
        {
            return; // what is no plain text could not be sent on
        }

        var text = Known(value) ?? Encoding.ASCII.GetString(value);
        if (Ascii.EqualsIgnoreCase(name, "content-type"u8))
        {
            content.Headers.TryAddWithoutValidation("Content-Type", text);
        }
        else if (Encoding.ASCII.GetString(name) is var key && !response.Headers.TryAddWithoutValidation(key, text))
        {
            content.Headers.TryAddWithoutValidation(key, text);
        }
    }

    private static string? Known(ReadOnlySpan<byte> value) =>
        value.SequenceEqual("application/json"u8) ? "application/json"
        : value.SequenceEqual("text/event-stream; charset=utf-8"u8) ? "text/event-stream; charset=utf-8"
        : null;

    /// <summary>Waits for a whole line, and gives its length without its end.</summary>
    private async ValueTask<int> LineAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var end = connection.Received.IndexOf((byte)'\n');
            if (end >= 0)
            {
                return end > 0 && connection.Received[end - 1] == '\r' ? end - 1 : end;
            }

            if (!await connection.ReceiveAsync(cancellationToken))
            {
                throw new HttpRequestException(HttpRequestError.ResponseEnded, "The connection was closed before the answer's head.");
            }
        }
    }

    // The line that was just waited for is done with.
    private void Advance()
    {
        var length = connection.Received.IndexOf((byte)'\n') + 1;
        connection.Consume(length);
        _read += length;
        if (_read > LargestHead)
        {
            throw Malformed();
        }
    }

    private static HttpRequestException Malformed() => new(HttpRequestError.InvalidResponse, "The answer's head is malformed.");
}
