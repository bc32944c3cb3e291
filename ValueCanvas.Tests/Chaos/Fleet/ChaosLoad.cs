using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using ValueCanvas.Tests.Api;

namespace ValueCanvas.Tests.Chaos.Fleet;

/// <summary>
/// Clients that keep the queue full, each as a good client is: one Idempotency-Key for each job, sent again until there is an answer.
/// </summary>
internal sealed class ChaosLoad : IAsyncDisposable
{
    private const int Clients = 4;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _stop = new();
    private readonly HttpClient _http = Client();
    private readonly Func<Uri> _api;
    private readonly Func<bool> _wantsMore;
    private readonly Task[] _clients;
    private double _perSecond;

    public ChaosLoad(Func<Uri> api, Func<bool> wantsMore)
    {
        (_api, _wantsMore) = (api, wantsMore);
        _clients = [.. Enumerable.Range(0, Clients).Select(_ => Task.Run(RunAsync))];
    }

    /// <summary>What was answered with 202: the job of each key.</summary>
    public ConcurrentDictionary<string, Guid> Accepted { get; } = new();

    /// <summary>Keys that were sent; of those that are not accepted nobody knows yet.</summary>
    public ConcurrentDictionary<string, bool> Sent { get; } = new();

    /// <summary>Answers that no fault excuses.</summary>
    public ConcurrentQueue<string> Wrong { get; } = new();

    /// <summary>So many jobs a second at random times, instead of a queue that is never empty; 0: that again.</summary>
    public double PerSecond
    {
        get => Volatile.Read(ref _perSecond);
        set => Volatile.Write(ref _perSecond, value);
    }

    /// <summary>One of a tenant with a key.</summary>
    public static HttpClient Client() => new()
    {
        Timeout = TimeSpan.FromSeconds(20),
        DefaultRequestHeaders = { Authorization = new("Bearer", ApiHost.Key) },
    };

    /// <summary>Null where there was no answer, or none that counts.</summary>
    public static async Task<(Guid Job, bool Replayed)?> SubmitAsync(
        HttpClient http, Uri api, string key, ConcurrentQueue<string> wrong, CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(api, "/api/queue/llm"))
            {
                Content = new StringContent(ChaosJob.Body(key), Encoding.UTF8, "application/json"),
                Headers = { { "Idempotency-Key", key } },
            };
            using var response = await http.SendAsync(request, cancellationToken);
            if (response.StatusCode == HttpStatusCode.Accepted)
            {
                var body = await response.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
                return (body.GetProperty("data").GetProperty("jobId").GetGuid(), response.Headers.Contains("Idempotency-Replayed"));
            }

            if (response.StatusCode != HttpStatusCode.ServiceUnavailable)
                wrong.Enqueue($"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(cancellationToken)}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException
            || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            // Killed, or not there yet.
        }

        return null;
    }

    /// <summary>One job, asked for until it is accepted.</summary>
    public async Task SubmitAsync(CancellationToken cancellationToken)
    {
        var key = Guid.NewGuid().ToString("N");
        Sent[key] = true;
        while (await SubmitAsync(_http, _api(), key, Wrong, cancellationToken) is not { } accepted || !Accepted.TryAdd(key, accepted.Job))
            await Task.Delay(Pause, TimeProvider.System, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_clients).WaitAsync(TimeSpan.FromSeconds(20));
        _http.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await TurnAsync();
                await SubmitAsync(_stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    private async Task TurnAsync()
    {
        while (true)
        {
            if (PerSecond is > 0 and var rate)
            {
                await Task.Delay(
                    TimeSpan.FromSeconds(-Math.Log(1 - Random.Shared.NextDouble()) * Clients / rate), TimeProvider.System, _stop.Token);
                return;
            }

            if (_wantsMore())
                return;
            await Task.Delay(Pause / 5, TimeProvider.System, _stop.Token);
        }
    }
}
