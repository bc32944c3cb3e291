using System.Text.Json;
using NJsonSchema;

namespace ValueCanvas.Tests.VllmSimulator;

public sealed class StructuredOutputTests : IDisposable
{
    private const string Bakery =
        "Create a canvas.\n\nBusiness description: A subscription app that helps independent bakeries in German cities cut food waste "
        + "by forecasting demand.\nIndustry: Food retail";

    private readonly SimulatorServer _server = SimulatorServer.Start();

    public void Dispose() => _server.Dispose();

    public static TheoryData<string> Schemas =>
    [
        """
        {"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":18,"maximum":99}},
         "required":["name","age"],"additionalProperties":false}
        """,
        """{"type":"array","items":{"type":"string","minLength":5,"maxLength":12},"minItems":4,"maxItems":4}""",
        """
        {"type":"object","required":["level","ok","none"],
         "properties":{"level":{"enum":["low","mid","high"]},"kind":{"const":42},"ok":{"type":"boolean"},"none":{"type":"null"}}}
        """,
        """
        {"type":"object","required":["price","share","step"],"properties":{
         "price":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},
         "share":{"type":"number","minimum":0.25,"maximum":0.5,"multipleOf":0.05},
         "step":{"type":"integer","multipleOf":7,"minimum":50}}}
        """,
        """
        {"definitions":{"node":{"type":"object","required":["value","children"],"properties":{
          "value":{"type":"string"},"children":{"type":"array","items":{"$ref":"#/definitions/node"}}}}},
         "type":"object","properties":{"root":{"$ref":"#/definitions/node"}},"required":["root"]}
        """,
        """
        {"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]},"id":{"type":"string","format":"uuid"}},
         "required":["next","id"],"additionalProperties":false}
        """,
        """
        {"type":"object","required":["at","day","link","mail"],"properties":{
         "at":{"type":"string","format":"date-time"},"day":{"type":"string","format":"date"},
         "link":{"type":"string","format":"uri"},"mail":{"type":"string","format":"email"}}}
        """,
        """
        {"type":"object","required":["code","phone","slug"],"properties":{
         "code":{"type":"string","pattern":"^[A-Z]{3}-\\d{4}$"},
         "phone":{"type":"string","pattern":"^\\+49 \\d{2,4} \\d+$"},
         "slug":{"type":"string","pattern":"^(foo|bar)(-[a-z]+)*$","minLength":12}}}
        """,
        """
        {"oneOf":[
         {"type":"object","properties":{"type":{"const":"a"},"x":{"type":"integer"}},"required":["type","x"],"additionalProperties":false},
         {"type":"object","properties":{"type":{"const":"b"}},"required":["type"],"additionalProperties":false}]}
        """,
        """
        {"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},
         {"properties":{"b":{"type":"integer","minimum":3}},"required":["b"]}]}
        """,
        """{"type":"object","additionalProperties":{"type":"integer","minimum":1},"minProperties":3,"maxProperties":3}""",
        """{"type":["string","null"],"maxLength":20}""",
        """{"type":"array","items":{"type":"string","enum":["a","b","c"]},"uniqueItems":true,"minItems":2}""",
        """
        {"type":"object","required":["matrix"],"properties":{"matrix":{"type":"array","minItems":2,"maxItems":2,
         "items":{"type":"array","items":{"type":"number","minimum":-1,"maximum":1},"minItems":2,"maxItems":2}}}}
        """,
        """{"type":"string","minLength":400,"maxLength":500}""",
    ];

    [Theory]
    [MemberData(nameof(Schemas))]
    public async Task JsonSchema_AnyOfThem_IsSatisfied(string schema)
    {
        var checker = await JsonSchema.FromJsonAsync(schema, TestContext.Current.CancellationToken);
        for (var seed = 0; seed < 5; seed++)
        {
            var content = await _server.ContentAsync(new
            {
                messages = SimulatorServer.User(Bakery),
                seed,
                response_format = new { type = "json_schema",
                    json_schema = new { name = "answer", strict = true, schema = JsonDocument.Parse(schema).RootElement } },
            });

            Assert.Empty(checker.Validate(content).Select(error => $"{error} in {content}"));
        }
    }

    [Fact]
    public async Task JsonSchema_BusinessModelCanvas_FillsEveryBlockFromTheDescription()
    {
        string[] blocks = ["key_partners", "key_activities", "key_resources", "value_propositions", "customer_relationships", "channels",
            "customer_segments", "cost_structure", "revenue_streams"];
        var list = new { type = "array", items = new { type = "string" }, minItems = 3, maxItems = 5 };
        var content = await _server.ContentAsync(new
        {
            messages = SimulatorServer.User(Bakery),
            response_format = new { type = "json_schema",
                json_schema = new { name = "canvas",
                schema = new { type = "object", required = blocks, properties = blocks.ToDictionary(name => name, _ => list) } } },
        });
        var canvas = JsonDocument.Parse(content).RootElement;

        foreach (var block in blocks)
        {
            var sentences = canvas.GetProperty(block).EnumerateArray().Select(item => item.GetString()!).ToArray();
            Assert.InRange(sentences.Length, 3, 5);
            Assert.Equal(sentences.Length, sentences.Distinct().Count());
            Assert.All(sentences, sentence => Assert.Matches("^[A-Z].{10,140}\\.$", sentence));
        }
        Assert.Contains("independent bakeries", canvas.GetProperty("customer_segments").ToString(),
            StringComparison.OrdinalIgnoreCase);
        Assert.Contains("subscription app", content);
        Assert.Contains("food waste", content);
    }

    [Fact]
    public async Task StructuredOutputs_OfVllm_AreSatisfied()
    {
        var json = await _server.ContentAsync(new { messages = SimulatorServer.User(Bakery),
            structured_outputs =
            new { json = new { type = "object", properties = new { pains = new { type = "array", items = new { type = "string" } } },
            required = (List<string>)["pains"] } } });
        var choice = await _server.ContentAsync(new { messages = SimulatorServer.User("Positive?"),
            structured_outputs = new { choice = (List<string>)["yes", "no"] } });
        var regex = await _server.ContentAsync(new { messages = SimulatorServer.User("Give an address."),
            structured_outputs = new { regex = @"\w+@\w+\.com" } });

        Assert.InRange(JsonDocument.Parse(json).RootElement.GetProperty("pains").GetArrayLength(), 3, 5);
        Assert.Contains(choice, (string[])["yes", "no"]);
        Assert.Matches(@"^\w+@\w+\.com$", regex);
    }

    [Fact]
    public async Task JsonObject_IsAnObject()
    {
        var content = await _server.ContentAsync(new { messages = SimulatorServer.User("Answer in JSON."),
            response_format = new { type = "json_object" } });

        Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(content).RootElement.ValueKind);
    }

    [Fact]
    public async Task JsonSchema_Streamed_ContinuesAfterABreak()
    {
        var format = new { type = "json_schema",
            json_schema = new { name = "x",
            schema = new { type = "object", properties = new { channels = new { type = "array", items = new { type = "string" } } },
            required = new[] { "channels" } } } };
        var whole = await _server.ContentAsync(new { messages = SimulatorServer.User(Bakery), response_format = format });
        var rest = await _server.ContentAsync(new
        {
            messages = new[] { new { role = "user", content = Bakery }, new { role = "assistant", content = whole[..37] } },
            response_format = format,
            continue_final_message = true,
            add_generation_prompt = false,
        });

        Assert.Equal(whole, whole[..37] + rest);
    }

    [Theory]
    [InlineData("""{"type":"spaceship"}""")]
    [InlineData("""{"$ref":"#/$defs/missing"}""")]
    [InlineData("""{"$ref":"#"}""")]
    [InlineData("""{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}""")]
    [InlineData("""{"type":"array","minItems":1000000000,"items":{"type":"integer"}}""")]
    [InlineData("""{"type":"integer","minimum":5,"maximum":4}""")]
    [InlineData("""{"type":"string","pattern":"^(?=x)y$"}""")]
    [InlineData("""{"type":"string","pattern":"["}""")]
    [InlineData("""{"enum":[]}""")]
    [InlineData("""{"type":"string","minLength":2000000000}""")]
    [InlineData("5")]
    public async Task JsonSchema_Impossible_IsRefused(string schema)
    {
        var (status, answer) = await _server.PostAsync("/v1/chat/completions", new
        {
            messages = SimulatorServer.User("Hi"),
            response_format = new { type = "json_schema",
                json_schema = new { name = "x", schema = JsonDocument.Parse(schema).RootElement } },
        });

        Assert.True(status == 400, answer.ToString());
    }
}
