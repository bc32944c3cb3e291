using System.Net;

namespace ValueCanvas.Core.Inference;

/// <summary>The content of an answer, read through a stream of one's own.</summary>
internal sealed class WrappedContent : HttpContent
{
    private const int BufferSize = 16 * 1024;

    private readonly HttpContent _inner;
    private readonly Func<Stream, Stream> _wrap;
    private readonly Action? _unread;
    private bool _read;

    /// <param name="inner">Disposed with this.</param>
    /// <param name="wrap">Makes the stream that is read from the inner one's, and owns that.</param>
    /// <param name="unread">Called where it is disposed and nobody has begun to read.</param>
    public WrappedContent(HttpContent inner, Func<Stream, Stream> wrap, Action? unread = null)
    {
        (_inner, _wrap, _unread) = (inner, wrap, unread);
        foreach (var (name, values) in inner.Headers.NonValidated)
            Headers.TryAddWithoutValidation(name, values);
    }

    protected override Task<Stream> CreateContentReadStreamAsync() => CreateContentReadStreamAsync(CancellationToken.None);

    protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken)
    {
        _read = true;
        return _wrap(await _inner.ReadAsStreamAsync(cancellationToken));
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await using var from = await CreateContentReadStreamAsync(cancellationToken);
        await from.CopyToAsync(stream, BufferSize, cancellationToken);
    }

    // What is read may be fewer bytes than the inner content has.
    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (!disposing)
            return;
        _inner.Dispose();
        if (!_read)
        {
            _read = true;
            _unread?.Invoke();
        }
    }
}
