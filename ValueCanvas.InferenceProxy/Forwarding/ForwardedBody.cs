using System.Net;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>The client's bytes as they came, but for the model's name where an alias stands for another.</summary>
internal sealed class ForwardedBody(ReadOnlyMemory<byte> body, int modelStart, int modelEnd, byte[]? model) : HttpContent
{
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        if (model is null)
        {
            await stream.WriteAsync(body, cancellationToken);
            return;
        }

        await stream.WriteAsync(body[..modelStart], cancellationToken);
        await stream.WriteAsync(model, cancellationToken);
        await stream.WriteAsync(body[modelEnd..], cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = model is null ? body.Length : body.Length - (modelEnd - modelStart) + model.Length;
        return true;
    }
}
