using System.Globalization;

namespace Aspire.Hosting;

/// <summary>Asks a URL for the expected status.</summary>
internal static class HttpProbe
{
    private static readonly HttpClient Client = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false })
    {
        Timeout = TimeSpan.FromSeconds(5),
    };

    public static async Task CheckAsync(Uri url, int expectedStatus, CancellationToken cancellationToken)
    {
        using var response = await Client.GetAsync(url, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        if ((int)response.StatusCode != expectedStatus)
        {
            throw new DistributedApplicationException(string.Create(
                CultureInfo.InvariantCulture, $"answered {(int)response.StatusCode}, expected {expectedStatus}"));
        }
    }
}
