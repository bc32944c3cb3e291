using System.Text.Json;

namespace ValueCanvas.Tests.VllmSimulator;

public sealed class ToolTests : IDisposable
{
    private readonly SimulatorServer _server = SimulatorServer.Start();

    public void Dispose() => _server.Dispose();

    private static readonly object[] Tools =
    [
        Tool("get_weather", "Weather of a city", new { type = "object", properties = new { city = new { type = "string" }, unit = new { type = "string", @enum = new[] { "celsius", "fahrenheit" } } }, required = new[] { "city" } }),
        Tool("send_email", "Sends a message", new { type = "object", properties = new { to = new { type = "string", format = "email" } }, required = new[] { "to" } }),
    ];

    private static object Tool(string name, string description, object parameters) => new { type = "function", function = new { name, description, parameters } };

    [Fact]
    public async Task Tools_Auto_CallsTheOneThatFits()
    {
        var answer = await _server.ChatAsync(new { messages = SimulatorServer.User("What is the weather in Berlin?"), tools = Tools, tool_choice = "auto" });
        var choice = answer.GetProperty("choices")[0];
        var call = Assert.Single(choice.GetProperty("message").GetProperty("tool_calls").EnumerateArray());
        var arguments = JsonDocument.Parse(call.GetProperty("function").GetProperty("arguments").GetString()!).RootElement;

        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("content").ValueKind);
        Assert.Equal("get_weather", call.GetProperty("function").GetProperty("name").GetString());
        Assert.Equal("Berlin", arguments.GetProperty("city").GetString());
        Assert.Contains(arguments.GetProperty("unit").GetString(), (string[])["celsius", "fahrenheit"]);
    }

    [Fact]
    public async Task Tools_Named_CallsThatOne()
    {
        var answer = await _server.ChatAsync(new { messages = SimulatorServer.User("What is the weather?"), tools = Tools, tool_choice = new { type = "function", function = new { name = "send_email" } } });
        var call = answer.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls")[0];

        Assert.Equal("send_email", call.GetProperty("function").GetProperty("name").GetString());
        Assert.Contains("@", call.GetProperty("function").GetProperty("arguments").GetString());
    }

    [Fact]
    public async Task Tools_None_AnswersWithText()
    {
        var answer = await _server.ChatAsync(new { messages = SimulatorServer.User("What is the weather?"), tools = Tools, tool_choice = "none" });

        Assert.Equal("stop", answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Tools_ResultGiven_AnswersWithText()
    {
        var content = await _server.ContentAsync(new
        {
            messages = new object[]
            {
                new { role = "user", content = "What is the weather in Berlin?" },
                new { role = "assistant", content = (string?)null, tool_calls = new[] { new { id = "call_1", type = "function", function = new { name = "get_weather", arguments = "{}" } } } },
                new { role = "tool", tool_call_id = "call_1", content = "Heavy thunderstorms over Berlin tonight" },
            },
            tools = Tools,
        });

        Assert.Contains("thunderstorms", content);
    }

    [Fact]
    public async Task Tools_SeveralNamed_AreStreamedByIndex()
    {
        var events = await _server.EventsAsync("/v1/chat/completions", new { messages = SimulatorServer.User("get the weather and send an email"), tools = Tools, tool_choice = "required", stream = true });
        var names = new Dictionary<int, string>();
        var arguments = new Dictionary<int, string>();
        string? finish = null;
        foreach (var choice in events[..^1].Select(text => JsonDocument.Parse(text).RootElement.GetProperty("choices")[0]))
        {
            finish = choice.GetProperty("finish_reason").GetString() ?? finish;
            if (!choice.GetProperty("delta").TryGetProperty("tool_calls", out var calls))
                continue;
            var call = Assert.Single(calls.EnumerateArray());
            var index = call.GetProperty("index").GetInt32();
            if (call.TryGetProperty("id", out _))
                names.Add(index, call.GetProperty("function").GetProperty("name").GetString()!);
            arguments[index] = arguments.GetValueOrDefault(index) + call.GetProperty("function").GetProperty("arguments").GetString();
        }

        Assert.Equal("tool_calls", finish);
        Assert.Equal(["get_weather", "send_email"], names.OrderBy(pair => pair.Key).Select(pair => pair.Value));
        Assert.True(JsonDocument.Parse(arguments[0]).RootElement.TryGetProperty("city", out _));
        Assert.True(JsonDocument.Parse(arguments[1]).RootElement.TryGetProperty("to", out _));
    }
}
