using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace ValueCanvas.Tests.EndToEnd;

[Collection(nameof(EndToEnd))]
public sealed class CanvasTests(AppHostFixture system)
{
    private const string Business = "A bakery in Lisbon that delivers sourdough bread by bicycle to small offices";

    [Fact]
    public async Task Generate_Synchronously_StoresACanvasThatCanBeReadAgain()
    {
        var api = await system.ApiAsync();
        using var response = await api.PostAsJsonAsync("/api/canvas/generate",
            new { businessDescription = Business, industry = "Food" }, TestContext.Current.CancellationToken);

        var canvas = await response.DataAsync(HttpStatusCode.Created);

        Assert.NotNull(response.Headers.Location);
        using var again = await api.GetAsync(response.Headers.Location, TestContext.Current.CancellationToken);
        var stored = await again.DataAsync(HttpStatusCode.OK);
        Assert.Equal(canvas.GetProperty("id").GetGuid(), stored.GetProperty("id").GetGuid());
        using var list = await api.GetAsync("/api/canvas", TestContext.Current.CancellationToken);
        Assert.Contains(
            canvas.GetProperty("id").GetString()!,
            (await list.DataAsync(HttpStatusCode.OK)).GetRawText(),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Generate_ThroughTheQueue_StoresTheCanvasAndTheResult()
    {
        var api = await system.ApiAsync();

        var job = await api.FinishedJobAsync(await api.EnqueueCanvasAsync(Business), TimeSpan.FromSeconds(60));

        var canvasId = job.GetProperty("result").GetProperty("canvasId").GetGuid();
        using var canvas = await api.GetAsync($"/api/canvas/{canvasId}", TestContext.Current.CancellationToken);
        await canvas.DataAsync(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Chat_WithTheSeedsModel_Answers()
    {
        var api = await system.ApiAsync();
        using var response = await api.PostAsJsonAsync("/api/llm/chat",
            new { prompt = "Test", model = "meta-llama/Llama-3-70b-chat-hf" }, TestContext.Current.CancellationToken);

        var data = await response.DataAsync(HttpStatusCode.OK);

        Assert.NotEmpty(data.GetProperty("response").GetString()!);
    }

    [Fact]
    public async Task Stream_ThroughTheWholeSystem_ArrivesTokenByToken()
    {
        var api = await system.ApiAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = JsonContent.Create(new
            {
                model = "meta-llama/Llama-3-70b-chat-hf",
                stream = true,
                max_tokens = 64,
                messages = new[] { new { role = "user", content = "Tell me about a bakery in Lisbon" } },
            }),
        };
        using var response = await api.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        await using var body = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);

        // One read returns what has arrived: a buffered stream would come in one or two reads,
        // a live one in about one a token where the machine keeps up.
        var buffer = new byte[64 * 1024];
        var reads = 0;
        var text = new MemoryStream();
        for (int read; (read = await body.ReadAsync(buffer, TestContext.Current.CancellationToken)) > 0; reads++)
            text.Write(buffer, 0, read);

        var events = System.Text.Encoding.UTF8.GetString(text.ToArray()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("data: [DONE]", events[^1]);
        Assert.True(events.Length > 20, $"{events.Length} events");
        Assert.True(reads > 3, $"{reads} reads for {events.Length} events");
        using var last = JsonDocument.Parse(events[^2]["data: ".Length..]);
        Assert.Equal("chat.completion.chunk", last.RootElement.GetProperty("object").GetString());
    }
}
