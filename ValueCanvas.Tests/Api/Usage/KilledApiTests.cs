using System.Collections.Concurrent;
using System.Net;
using Npgsql;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Usage;

/// <summary>An Api that is killed under load loses no row of an answer that somebody has got.</summary>
public sealed class KilledApiTests(ServersFixture servers)
{
    private const int Clients = 24;
    private const string Streamed = "x-test-streamed";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Api_KilledUnderLoad_HasARowForEveryWholeAnswer_AndWritesTheOthersOff()
    {
        var admin = await servers.CreateMigratedDatabaseAsync("killed");
        var app = ApiDatabase.AsApp(admin);
        await using var inference = await FakeInference.StartAsync();
        inference.Answer = context => context.Request.Headers.ContainsKey(Streamed)
            ? FakeInference.Stream(context, "Hel", "lo", ".")
            : FakeInference.Text(context, 200, FakeInference.Completion("Hello."));
        (string, string)[] settings =
        [
            ("ConnectionStrings:valuecanvas", app), ("ConnectionStrings:cache", servers.Redis), ("services:inference:http:0",
                inference.Address),
            ("Accounts:SecretKey", "a-secret-of-tests-that-is-long-enough"), ("VALUECANVAS_BOOTSTRAP_EMAIL", ApiHost.OperatorEmail),
            ("VALUECANVAS_BOOTSTRAP_PASSWORD", ApiHost.OperatorPassword), ("VALUECANVAS_BOOTSTRAP_API_KEY", ApiHost.Key),
            ("Usage:Directory", UsageHost.NewDirectory()), ("RateLimiting:Enabled", "false"),
            // A commit that is slow on a busy machine is none that fails: its rows would be on disk, and not yet in the books.
            ("Usage:WriteTimeout", "00:00:30"), ("Database:CommandTimeout", "00:00:30"),
        ];

        var whole = new ConcurrentQueue<string>();
        var sent = new ConcurrentQueue<string>();
        await using (var api = await ServiceProcess.StartApiAsync(settings))
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            var load = Enumerable.Range(0, Clients).Select(i => LoadAsync(api.Address, i, sent, whole, stop.Token)).ToArray();
            await UsageWriterTests.UntilAsync(() => Task.FromResult(whole.Count > 200));
            // All clients may be about to ask again at the same moment: one call at least is with the model.
            var asked = new TaskCompletionSource();
            inference.Answer = context =>
            {
                asked.TrySetResult();
                return Task.Delay(Timeout.Infinite, context.RequestAborted);
            };
            await asked.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
            await api.KillAsync();
            await stop.CancelAsync();
            await Task.WhenAll(load).WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        }

        // Every answer that came whole was in the books before its end went out.
        var rows = await ModelsAsync(admin, "status = 'completed'");
        Assert.Empty(whole.Except(rows));

        // The next process finds what was under way.
        await using var next = await ServiceProcess.StartApiAsync(settings);
        await UsageWriterTests.UntilAsync(async () => (await ModelsAsync(admin, "status = 'written_off'")).Length > 0);
        var all = await ModelsAsync(admin, "true");
        Assert.Equal(all.Length, all.Distinct().Count());
        Assert.Empty(all.Except(sent));
        Assert.InRange((await ModelsAsync(admin, "status = 'written_off' AND cost = 0")).Length, 1, Clients);
    }

    private static async Task LoadAsync(
        Uri api, int client, ConcurrentQueue<string> sent, ConcurrentQueue<string> whole, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { BaseAddress = api, Timeout = TimeSpan.FromSeconds(20) };
        http.DefaultRequestHeaders.Authorization = new("Bearer", ApiHost.Key);
        for (var i = 0; !cancellationToken.IsCancellationRequested; i++)
        {
            // Its model tells each request from all others.
            var model = $"m-{client}-{i}";
            sent.Enqueue(model);
            var stream = i % 2 == 0 ? "\"stream\":true," : "";
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
                {
                    Content = new StringContent($$"""{ {{stream}}"model":"{{model}}","messages":[]}"""),
                };
                if (stream.Length > 0)
                    request.Headers.Add(Streamed, "yes");
                using var response = await http.SendAsync(request, cancellationToken);
                var text = await response.Content.ReadAsStringAsync(cancellationToken);
                if (response.StatusCode == HttpStatusCode.OK && (stream.Length == 0 || text.EndsWith("data: [DONE]\n\n",
                    StringComparison.Ordinal)))
                {
                    whole.Enqueue(model);
                }
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
            {
                return; // killed
            }
        }
    }

    private static async Task<string[]> ModelsAsync(string admin, string where)
    {
        await using var connection = new NpgsqlConnection(UsageHost.AsOperator(admin));
        await connection.OpenAsync(Cancellation);
        await using var command = new NpgsqlCommand(
            $"SELECT coalesce(array_agg(requested_model), ARRAY[]::text[]) FROM llm_usage WHERE {where}", connection);
        return (string[])(await command.ExecuteScalarAsync(Cancellation))!;
    }
}
