using System.Collections.Concurrent;
using System.Net.Http.Json;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using Npgsql;

namespace ValueCanvas.Tests.EndToEnd;

/// <summary>
/// A new build takes the place of the old one while the system is used: first the database grows, then replicas go one by one.
/// </summary>
[Collection(nameof(EndToEnd))]
public sealed class RollingUpdateTests(AppHostFixture system)
{
    private const int Clients = 6;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ApisAndProxies_ReplacedOneByOneUnderLoad_FailNoRequest()
    {
        var app = await system.StartedAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var (whole, failed) = (new ConcurrentQueue<string>(), new ConcurrentQueue<string>());
        var load = Enumerable.Range(0, Clients).Select(client => LoadAsync(client, whole, failed, stop.Token)).ToArray();
        await MoreAsync(whole, failed);

        // What the next build needs and this one does not know.
        await ExecuteAsync(
            app,
            """
            ALTER TABLE llm_usage ADD COLUMN of_the_next_build text NOT NULL DEFAULT '';
            CREATE TABLE of_the_next_build (id int)
            """);
        await MoreAsync(whole, failed);
        foreach (var service in (string[])["inference", "api"])
        {
            var replicas = await ReplicasAsync(app, service);
            Assert.Equal(2, replicas.Count);
            foreach (var replica in replicas)
            {
                await CommandAsync(app, replica, KnownResourceCommands.StopCommand);
                await MoreAsync(whole, failed);
                await CommandAsync(app, replica, KnownResourceCommands.StartCommand);
                await app.ResourceNotifications.WaitForResourceHealthyAsync(service, Cancellation).WaitAsync(Limit, Cancellation);
                await MoreAsync(whole, failed);
            }
        }

        // And what the old one needed, now that it runs nowhere.
        await ExecuteAsync(app, "ALTER TABLE llm_usage DROP COLUMN of_the_next_build; DROP TABLE of_the_next_build");
        await MoreAsync(whole, failed);
        await stop.CancelAsync();
        await Task.WhenAll(load).WaitAsync(Limit, Cancellation);

        AssertNone(failed);
    }

    /// <summary>One client after another kind of request; what has begun is read to its end.</summary>
    private async Task LoadAsync(int client, ConcurrentQueue<string> whole, ConcurrentQueue<string> failed, CancellationToken stop)
    {
        using var api = await system.ApiAsync();
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            // Two clients ask the same at about the same time: one reads along, maybe at another instance.
            var text = $"Rolling {client / 2} {i}";
            try
            {
                var said = (i % 3) switch
                {
                    0 => await PostAsync(api, "/api/llm/chat", new { prompt = text, maxTokens = 20 }, "\"success\":true"),
                    1 => await PostAsync(api, "/v1/chat/completions", Chat(text, stream: true, 60), "data: [DONE]"),
                    _ => await PostAsync(api, "/v1/chat/completions", Chat(text, stream: false, 20), "\"finish_reason\""),
                };
                (said is null ? whole : failed).Enqueue(said ?? text);
            }
            catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException)
            {
                failed.Enqueue($"{i % 3}: {e.GetType().Name} {e.Message} {e.InnerException?.Message}");
            }
        }
    }

    private static object Chat(string text, bool stream, int tokens) => new
    {
        model = "default", stream, temperature = 0, max_tokens = tokens, messages = new[] { new { role = "user", content = text } },
    };

    /// <summary>What was wrong with the answer.</summary>
    private static async Task<string?> PostAsync(HttpClient api, string path, object body, string expected)
    {
        using var response = await api.PostAsJsonAsync(path, body, CancellationToken.None);
        var text = await response.Content.ReadAsStringAsync(CancellationToken.None);
        var isWhole = response.IsSuccessStatusCode
            && text.Contains(expected, StringComparison.Ordinal)
            && !text.Contains("\"error\":{", StringComparison.Ordinal);
        return isWhole ? null : $"{path}: {(int)response.StatusCode} …{text[^Math.Min(text.Length, 500)..]}";
    }

    private static async Task MoreAsync(ConcurrentQueue<string> whole, ConcurrentQueue<string> failed)
    {
        var wanted = whole.Count + (2 * Clients);
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        bound.CancelAfter(Limit);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (whole.Count < wanted)
        {
            AssertNone(failed);
            await tick.WaitForNextTickAsync(bound.Token);
        }
    }

    private static void AssertNone(ConcurrentQueue<string> failed) => Assert.True(failed.IsEmpty, string.Join('\n', failed));

    /// <summary>What the orchestrator calls the replicas of a project.</summary>
    private static async Task<IReadOnlyList<string>> ReplicasAsync(DistributedApplication app, string service)
    {
        var ids = new SortedSet<string>(StringComparer.Ordinal);
        await app.ResourceNotifications.WaitForResourceAsync(service, state =>
        {
            if (state.Snapshot.State?.Text == KnownResourceStates.Running)
                ids.Add(state.ResourceId);
            return ids.Count == 2;
        }, Cancellation).WaitAsync(Limit, Cancellation);
        return [.. ids];
    }

    private static async Task CommandAsync(DistributedApplication app, string replica, string command)
    {
        var result = await app.ResourceCommands.ExecuteCommandAsync(replica, command, Cancellation);
        Assert.True(result.Success, $"{command} of {replica}: {result.Message}");
    }

    private static async Task ExecuteAsync(DistributedApplication app, string sql)
    {
        var admin = await app.GetConnectionStringAsync("valuecanvas", Cancellation);
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(admin) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(Cancellation);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }
}
