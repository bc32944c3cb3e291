using System.Text.Json;
using System.Text.Json.Nodes;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Core.Canvases;

public sealed class CanvasGeneratorTests
{
    private static readonly InferenceCall Call = new(Tenants.Development) { Route = "/test" };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<CanvasType> Types => [CanvasType.ValueProposition, CanvasType.BusinessModel, CanvasType.Lean];

    [Theory]
    [MemberData(nameof(Types))]
    public async Task Generate_ValidAnswer_IsACanvasOfTheType(CanvasType type)
    {
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = context => FakeInference.Text(context, 200, FakeInference.Completion(ValidAnswer(type).ToJsonString()));
        using var host = new InferenceHost(fake.Address);

        var canvas = await host.Canvases.GenerateAsync(Call, new("A bakery", "Food", type), Cancellation);

        Assert.Empty(CanvasSchema.For(type).Validate(canvas.Content));
        Assert.Equal(("Bakery", "A bakery", "Food", type), (canvas.Title, canvas.BusinessDescription, canvas.Industry, canvas.Type));
        Assert.Equal(("fake-model", 7, 3), (canvas.Model, canvas.InputTokens, canvas.OutputTokens));
        Assert.Matches($"^canvas\\.generate@[0-9a-f]{{12}},canvas\\.system\\.{type.ToWireName()}@[0-9a-f]{{12}}$", canvas.PromptVersion);
        Assert.Equal(CanvasSchema.For(type).Blocks, CanvasContent.Of(canvas).Blocks.Keys);
        var format = Assert.Single(fake.Seen).Json.GetProperty("response_format");
        Assert.Equal("json_schema", format.GetProperty("type").GetString());
        Assert.Equal($"{type.ToWireName()}_canvas", format.GetProperty("json_schema").GetProperty("name").GetString());
    }

    [Fact]
    public async Task Generate_UntidyAnswer_IsTrimmedAndFreedOfDuplicates()
    {
        var answer = ValidAnswer(CanvasType.Lean);
        answer["title"] = "  Bakery\n";
        answer["blocks"]!["problem"] = new JsonArray("  Bread is\tstale ", "bread is stale", "No time", "Queues\u0000", "Price");
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = context => FakeInference.Text(context, 200, FakeInference.Completion($"```json\n{answer.ToJsonString()}\n```"));
        using var host = new InferenceHost(fake.Address);

        var canvas = await host.Canvases.GenerateAsync(Call, new("A bakery", null, CanvasType.Lean), Cancellation);

        Assert.Equal("Bakery", canvas.Title);
        Assert.Equal(["Bread is stale", "No time", "Queues", "Price"], CanvasContent.Of(canvas).Blocks["problem"]);
        Assert.Single(fake.Seen);
    }

    [Fact]
    public async Task Generate_InvalidThenValid_AsksOnceMoreWithWhatWasWrong()
    {
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = context => FakeInference.Text(
            context, 200, FakeInference.Completion(fake.Seen.Count == 1 ? "Sorry, no." : ValidAnswer(CanvasType.Lean).ToJsonString()));
        using var host = new InferenceHost(fake.Address);

        var canvas = await host.Canvases.GenerateAsync(Call, new("A bakery", null, CanvasType.Lean), Cancellation);

        Assert.Equal((14, 6), (canvas.InputTokens, canvas.OutputTokens));
        var messages = fake.Seen.Last().Json.GetProperty("messages").EnumerateArray().ToArray();
        Assert.Equal(["system", "user", "assistant", "user"], messages.Select(message => message.GetProperty("role").GetString()));
        Assert.Contains("not JSON", messages[3].GetProperty("content").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Sorry, no.", "stop")]
    [InlineData("{}", "stop")]
    [InlineData("", "stop")]
    [InlineData("null", "stop")]
    [InlineData("[1e999]", "stop")]
    [InlineData("{\"title\":\"\\ud800\",\"blocks\":{}}", "stop")]
    [InlineData("{\"title\":\"Bak", "length")]
    public async Task Generate_NeverValid_FailsAfterTwoAnswers(string answer, string finishReason)
    {
        await using var fake = await FakeInference.StartAsync();
        fake.Answer = context => FakeInference.Text(context, 200, FakeInference.Completion(answer, finishReason));
        using var host = new InferenceHost(fake.Address);

        var failure = await Assert.ThrowsAsync<InferenceException>(
            () => host.Canvases.GenerateAsync(Call, new("A bakery", null, CanvasType.Lean), Cancellation));

        Assert.Equal(InferenceFailure.InvalidAnswer, failure.Kind);
        Assert.Equal(2, fake.Seen.Count);
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Schema_WrongContent_IsRefused(CanvasType type)
    {
        var schema = CanvasSchema.For(type);
        Assert.Empty(schema.Validate(ValidAnswer(type).ToJsonString()));
        foreach (var spoil in new Action<JsonObject>[]
        {
            answer => answer.Remove("title"),
            answer => answer["title"] = "",
            answer => answer["more"] = 1,
            answer => answer["blocks"]!.AsObject().Remove(schema.Blocks[0]),
            answer => answer["blocks"]!["more"] = new JsonArray("a", "b", "c"),
            answer => answer["blocks"]![schema.Blocks[0]] = new JsonArray("a", "b"),
            answer => answer["blocks"]![schema.Blocks[0]] = new JsonArray("a", "b", "c", "d", "e", "f", "g", "h"),
            answer => answer["blocks"]![schema.Blocks[0]] = new JsonArray("a", "b", 3),
            answer => answer["blocks"]![schema.Blocks[0]] = "a, b, c",
            answer => answer["blocks"]![schema.Blocks[0]]![0] = new string('x', 241),
        })
        {
            var answer = ValidAnswer(type);
            spoil(answer);
            Assert.NotEmpty(schema.Validate(answer.ToJsonString()));
        }
    }

    [Fact]
    public void Brief_Variables_SurviveTheRoundTrip()
    {
        var brief = new CanvasBrief("A \"bakery\"", "Food", CanvasType.BusinessModel);

        Assert.Equal(brief, CanvasBrief.FromVariables(brief.ToVariables()));
        Assert.Equal(
            new CanvasBrief("A bakery", null, CanvasType.ValueProposition),
            CanvasBrief.FromVariables(
                JsonSerializer.Deserialize<Dictionary<string, JsonElement>>("""{"businessDescription":" A bakery "}""")!));
    }

    internal static JsonObject ValidAnswer(CanvasType type)
    {
        var answer = new JsonObject { ["title"] = "Bakery" };
        if (type == CanvasType.ValueProposition)
            answer["customer_segment"] = "Families";
        answer["blocks"] = new JsonObject(CanvasSchema.For(type).Blocks
            .Select(block => KeyValuePair.Create(block, (JsonNode?)new JsonArray($"{block} one", $"{block} two", $"{block} three"))));
        return answer;
    }
}
