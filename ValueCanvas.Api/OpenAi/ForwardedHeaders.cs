using System.Collections.Frozen;
using System.Net.Http.Headers;

namespace ValueCanvas.Api.OpenAi;

/// <summary>Which headers pass, and the copying of them.</summary>
internal static class ForwardedHeaders
{
    private static readonly FrozenSet<string> HopByHop = Set(
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade");

    /// <summary>Credentials are for this service, not for the one behind; the client's own span writes trace headers anew.</summary>
    private static readonly FrozenSet<string> StayHere = Set(
        "Authorization", "Cookie", "Expect", "Host", "api-key", "x-api-key", "baggage", "Correlation-Context", "Request-Id", "traceparent",
        "tracestate");

    private const string OwnPrefix = "x-valuecanvas-";

    public static void CopyTo(this IHeaderDictionary from, HttpRequestMessage to)
    {
        var named = from.Connection.ToString();
        foreach (var (name, values) in from)
        {
            if (HopByHop.Contains(name) || StayHere.Contains(name) || IsNamed(named, name)
                || name.StartsWith(OwnPrefix, StringComparison.OrdinalIgnoreCase) || name.StartsWith(':'))
            {
                continue;
            }

            IEnumerable<string?> each = values;
            if (!to.Headers.TryAddWithoutValidation(name, each))
                to.Content?.Headers.TryAddWithoutValidation(name, each);
        }
    }

    public static void CopyTo(this HttpResponseMessage from, HttpResponse to)
    {
        var named = string.Join(',', from.Headers.Connection);
        Copy(from.Headers.NonValidated, to, named);
        Copy(from.Content.Headers.NonValidated, to, named);
    }

    private static void Copy(HttpHeadersNonValidated from, HttpResponse to, string named)
    {
        foreach (var (name, values) in from)
        {
            // Kestrel writes its own date.
            if (!HopByHop.Contains(name) && !IsNamed(named, name) && !name.Equals("Date", StringComparison.OrdinalIgnoreCase))
                to.Headers.Append(name, values.ToArray());
        }
    }

    private static bool IsNamed(string connection, string name) =>
        connection.Length > 0 && connection.Split(',', StringSplitOptions.TrimEntries).Contains(name, StringComparer.OrdinalIgnoreCase);

    private static FrozenSet<string> Set(params string[] names) => names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
}
