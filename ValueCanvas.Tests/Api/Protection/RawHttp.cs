using System.Net.Sockets;
using System.Text;

namespace ValueCanvas.Tests.Api.Protection;

/// <summary>Bytes to the server as no HTTP client would send them.</summary>
internal static class RawHttp
{
    /// <summary>
    /// All that is answered until the server closes the connection; at most 20 s. Lines of <paramref name="request"/> end with CR LF.
    /// </summary>
    public static async Task<string> SendAsync(Uri address, string request)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(20));
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port, limit.Token);
        var stream = client.GetStream();
        using var answer = new MemoryStream();
        try
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(request.ReplaceLineEndings("\r\n")), limit.Token);
            await stream.CopyToAsync(answer, limit.Token);
        }
        catch (IOException)
        {
            // Reset behind the answer: the server has not read all that was sent.
        }

        return Encoding.Latin1.GetString(answer.ToArray());
    }

    public static int Status(string answer) =>
        answer.StartsWith("HTTP/1.1 ", StringComparison.Ordinal)
            ? int.Parse(answer.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture) : 0;
}
