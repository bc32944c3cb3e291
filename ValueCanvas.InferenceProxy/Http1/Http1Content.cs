using System.Net;

namespace ValueCanvas.InferenceProxy.Http1;

/// <summary>An answer's body, not read yet.</summary>
internal sealed class Http1Content(Http1Connection connection) : HttpContent
{
    private Http1Body? _body;

    public void Open(Http1Framing framing)
    {
        Headers.ContentLength = framing.Length;
        _body = new Http1Body(connection, framing);
    }

    protected override Stream CreateContentReadStream(CancellationToken cancellationToken) => _body!;

    protected override Task<Stream> CreateContentReadStreamAsync() => Task.FromResult<Stream>(_body!);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => _body!.CopyToAsync(stream);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        _body!.CopyToAsync(stream, cancellationToken);

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        _body?.Dispose();
        base.Dispose(disposing);
    }
}
