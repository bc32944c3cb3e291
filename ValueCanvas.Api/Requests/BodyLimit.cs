using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Requests;

/// <summary>Most bytes that an endpoint takes as its body; metadata of an endpoint or a group.</summary>
internal sealed record BodyLimit(long Bytes)
{
    /// <summary>JSON under /api.</summary>
    public static readonly BodyLimit Api = new(1024 * 1024);

    /// <summary>What strangers may send: a few short fields.</summary>
    public static readonly BodyLimit Accounts = new(16 * 1024);

    /// <summary>OpenAI requests can carry long conversations and pictures. No endpoint may have more: the server's own limit.</summary>
    public static readonly BodyLimit OpenAi = new(32 * 1024 * 1024);

    public static BodyLimit Of(HttpContext context) => context.GetEndpoint()?.Metadata.GetMetadata<BodyLimit>() ?? Api;

    /// <summary>Refuses by the announced length, before a byte of the body is read.</summary>
    /// <exception cref="RequestException">413.</exception>
    public void CheckLength(HttpContext context)
    {
        if (context.Request.ContentLength <= Bytes || context.Request.ContentLength is null)
            return;
        // The server throws the rest away for some seconds, instead of cutting the connection off while the client still sends: so it can
        // read the answer.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } server)
            server.MaxRequestBodySize = null;
        throw TooLarge();
    }

    public RequestException TooLarge() =>
        new(StatusCodes.Status413PayloadTooLarge, $"The body is too large: at most {Bytes / 1024:N0} KiB are accepted here. Send less.");
}
