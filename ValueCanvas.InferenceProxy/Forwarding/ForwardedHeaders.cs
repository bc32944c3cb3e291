using System.Collections.Frozen;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using Microsoft.Extensions.Primitives;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Which headers pass. Everything does, but for the hop's own, the caller's credentials and the house's internal ones.</summary>
internal static class ForwardedHeaders
{
    /// <summary>Prefix of the headers between the services of this system.</summary>
    public const string Internal = "x-valuecanvas-";

    public const string Target = "x-valuecanvas-target";
    public const string Attempts = "x-valuecanvas-attempts";
    public const string Provider = "x-valuecanvas-provider";
    /// <summary>Not the model that the name means has answered, but one that stands in for it.</summary>
    public const string Fallback = "x-valuecanvas-fallback";

    public const string Resumed = "x-valuecanvas-resumed";
    public const string Overhead = "x-valuecanvas-overhead-ms";
    public const string ShouldRetry = "x-should-retry";

    private const string EventStream = "text/event-stream";

    private static readonly FrozenSet<string> NeverToReplica = new[]
    {
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
        "Upgrade", "Host", "Expect", "Content-Length", "Content-Type", "Authorization", "Cookie", "x-api-key", "api-key", "x-goog-api-key",
        // Whose account pays is the proxy's business.
        "OpenAI-Organization", "OpenAI-Project",
        // Events are read as they pass, and compressed ones could not be.
        "Accept-Encoding",
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Real-IP",
        "traceparent", "tracestate", "baggage",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> NeverToClient = new[]
    {
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Server",
        "Date", "Set-Cookie", "Alt-Svc",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    public static void ToReplica(HttpRequest from, HttpRequestMessage to, Activity? span)
    {
        var named = from.Headers.Connection;
        foreach (var (name, values) in from.Headers)
        {
            if (!NeverToReplica.Contains(name) && !name.StartsWith(Internal, StringComparison.OrdinalIgnoreCase) && !Names(named, name))
                Add(to.Headers, name, values);
        }

        if (to.Content!.Headers.ContentType is null)
            to.Content.Headers.TryAddWithoutValidation("Content-Type", from.ContentType ?? "application/json");

        DistributedContextPropagator.Current.Inject(span ?? Activity.Current, to.Headers, static (carrier, name, value) =>
            ((HttpRequestHeaders)carrier!).TryAddWithoutValidation(name, value));
    }

    /// <summary>Told without taking the header apart: it goes on as it came.</summary>
    public static bool IsEventStream(HttpResponseMessage response) =>
        response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var types) && types.ToString() is var type
        && type.StartsWith(EventStream, StringComparison.OrdinalIgnoreCase)
        && type.AsSpan(EventStream.Length).TrimStart() is [] or [';', ..];

    public static void ToClient(HttpResponseMessage from, HttpResponse to)
    {
        Copy(from.Headers.NonValidated, to.Headers);
        Copy(from.Content.Headers.NonValidated, to.Headers);
    }

    /// <summary>Tells who answered, if anyone did, and how many replicas were asked.</summary>
    public static void Mark(HttpResponse response, Replica? replica, int attempts)
    {
        if (replica is not null)
        {
            response.Headers[Target] = replica.Name;
            response.Headers[Provider] = replica.Provider;
        }

        response.Headers[Attempts] = attempts == 1 ? "1" : attempts.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>The proxy has made its attempts: a client that repeats them as well multiplies the load on servers that are in
    /// trouble.</summary>
    public static void Settle(HttpResponse response)
    {
        if (response.StatusCode is StatusCodes.Status408RequestTimeout or StatusCodes.Status409Conflict
            or StatusCodes.Status429TooManyRequests or >= StatusCodes.Status500InternalServerError)
        {
            response.Headers[ShouldRetry] = "false";
        }
    }

    private static void Copy(HttpHeadersNonValidated from, IHeaderDictionary to)
    {
        foreach (var (name, values) in from)
        {
            if (!NeverToClient.Contains(name) && !name.StartsWith(Internal, StringComparison.OrdinalIgnoreCase))
                to[name] = values.Count == 1 ? new StringValues(values.ToString()) : new StringValues([.. values]);
        }
    }

    private static void Add(HttpRequestHeaders to, string name, StringValues values)
    {
        if (values.Count == 1)
            to.TryAddWithoutValidation(name, values[0]);
        else
            to.TryAddWithoutValidation(name, (IEnumerable<string>)values);
    }

    // A header that the caller's Connection header names belongs to that hop, too.
    private static bool Names(StringValues connection, string name)
    {
        foreach (var line in connection)
        {
            foreach (var part in line.AsSpan().Split(','))
            {
                if (line.AsSpan()[part].Trim().Equals(name, StringComparison.OrdinalIgnoreCase))
                    return true;
            }
        }

        return false;
    }
}
