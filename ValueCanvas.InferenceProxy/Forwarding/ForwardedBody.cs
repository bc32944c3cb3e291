using System.Net;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>A change to a body: instead of the bytes from the start to the end, these.</summary>
internal readonly record struct BodyEdit(int Start, int End, ReadOnlyMemory<byte> Bytes);

/// <summary>The client's bytes as they came, but for the edits: the model's name where an alias stands for another, options that are
/// added.</summary>
internal sealed class ForwardedBody : HttpContent
{
    private readonly ReadOnlyMemory<byte> _body;
    private readonly List<BodyEdit> _edits;
    private readonly UpstreamConnection.Link? _link;

    public ForwardedBody(ReadOnlyMemory<byte> body, List<BodyEdit> edits, UpstreamConnection.Link? link = null)
    {
        edits.Sort(static (one, other) => one.Start.CompareTo(other.Start));
        (_body, _edits, _link) = (body, edits, link);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var written = 0;
        foreach (var edit in _edits)
        {
            await stream.WriteAsync(_body[written..edit.Start], cancellationToken);
            await stream.WriteAsync(edit.Bytes, cancellationToken);
            written = edit.End;
        }

        await (_link?.WriteLastAsync(stream, _body[written..], cancellationToken)
            ?? stream.WriteAsync(_body[written..], cancellationToken).AsTask());
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _body.Length;
        foreach (var edit in _edits)
            length += edit.Bytes.Length - (edit.End - edit.Start);

        return true;
    }
}
