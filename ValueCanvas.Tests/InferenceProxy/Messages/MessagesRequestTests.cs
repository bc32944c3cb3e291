using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using ValueCanvas.InferenceProxy.Messages;

namespace ValueCanvas.Tests.InferenceProxy.Messages;

public sealed class MessagesRequestTests
{
    [Fact]
    public void Request_Everything_BecomesAChatRequest()
    {
        AssertJson("""
            {
              "model": "m", "max_tokens": 300, "temperature": 0.5, "top_p": 0.9, "top_k": 7, "stop": ["END"], "user": "u-1",
              "stream": true, "stream_options": {"include_usage": true}, "reasoning_effort": "medium",
              "messages": [
                {"role": "system", "content": "Be brief.\n\nAnswer in German."},
                {"role": "user", "content": [
                  {"type": "text", "text": "What is \"this\"?"},
                  {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                  {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]},
                {"role": "assistant", "content": "I look.", "tool_calls": [
                  {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"cat\"}"}},
                  {"id": "t2", "type": "function", "function": {"name": "listen", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "t1", "content": "a cat"},
                {"role": "tool", "tool_call_id": "t2", "content": "Error: no ears"},
                {"role": "user", "content": [
                  {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,BBBB"}}, {"type": "text", "text": "And now?"}]}],
              "tools": [
                {"type": "function", "function": {
                  "name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": true}},
                {"type": "function", "function": {"name": "listen", "parameters": {"type": "object"}}}],
              "tool_choice": "required", "parallel_tool_calls": false,
              "response_format": {"type": "json_schema", "json_schema": {"name": "output", "strict": true, "schema": {"type": "object"}}}
            }
            """, Translate("""
            {
              "model": "m", "max_tokens": 300, "temperature": 0.5, "top_p": 0.9, "top_k": 7, "stop_sequences": ["END"], "stream": true,
              "metadata": {"user_id": "u-1"}, "thinking": {"type": "enabled", "budget_tokens": 8000}, "service_tier": "auto",
              "system": [
                {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "Answer in German."}],
              "messages": [
                {"role": "user", "content": [
                  {"type": "text", "text": "What is \"this\"?", "cache_control": {"type": "ephemeral"}},
                  {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                  {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}}]},
                {"role": "assistant", "content": [
                  {"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "redacted_thinking", "data": "x"},
                  {"type": "text", "text": "I look."},
                  {"type": "tool_use", "id": "t1", "name": "look", "input": {"at":"cat"}},
                  {"type": "tool_use", "id": "t2", "name": "listen", "input": {}}]},
                {"role": "user", "content": [
                  {"type": "tool_result", "tool_use_id": "t1", "content": [
                    {"type": "text", "text": "a cat"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "BBBB"}}]},
                  {"type": "tool_result", "tool_use_id": "t2", "content": "no ears", "is_error": true},
                  {"type": "text", "text": "And now?"}]}],
              "tools": [
                {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}, "strict": true},
                {"type": "custom", "name": "listen", "input_schema": {"type": "object"}}],
              "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
              "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}
            }
            """));
    }

    [Theory]
    [InlineData("""{"type":"auto"}""", "\"auto\"")]
    [InlineData("""{"type":"none"}""", "\"none\"")]
    [InlineData("""{"type":"tool","name":"look"}""", """{"type":"function","function":{"name":"look"}}""")]
    public void Request_ToolChoice_IsTranslated(string choice, string expected)
    {
        var chat = Translate($$"""
            {"model":"m","max_tokens":1,"messages":[{"role":"user","content":"Hi"}],
             "tools":[{"name":"look","input_schema":{ } }],"tool_choice":{{choice}} }
            """);

        AssertJson(expected, chat["tool_choice"]!);
        Assert.Null(chat["parallel_tool_calls"]);
    }

    [Fact]
    public void Request_BeginningOfTheAnswer_IsContinued()
    {
        var chat = Translate(
            """{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Well,"}]}""");

        Assert.True((bool)chat["continue_final_message"]!);
        Assert.False((bool)chat["add_generation_prompt"]!);
    }

    [Fact]
    public void Request_TextDocument_IsReadAsText()
    {
        var chat = Translate("""
            {"model":"m","max_tokens":9,"messages":[{"role":"user","content":[
              {"type":"document","title":"Notes","source":{"type":"text","media_type":"text/plain","data":"Buy tea."}},
              {"type":"text","text":"What now?"}]}]}
            """);

        Assert.Equal("Notes\n\nBuy tea.\n\nWhat now?", (string?)chat["messages"]![0]!["content"]);
    }

    [Theory]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"Hi"}]}""", "max_tokens")]
    [InlineData("""{"model":"m","max_tokens":"9","messages":[{"role":"user","content":"Hi"}]}""", "max_tokens")]
    [InlineData("""{"model":"m","max_tokens":9}""", "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[]}""", "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[7]}""", "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"robot","content":"Hi"}]}""", "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":7}]}""", "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[7]}]}""", "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text"}]}]}""", "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image"}]}]}""", "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","content":"x"}]}]}""",
        "messages")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"\ud800"}]}""", null)]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"look"}]}""", "tools")]
    [InlineData("""{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"tools":[7]}""", "tools")]
    [InlineData(
        """{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"a","input_schema":{}}]"""
        + ""","tool_choice":{"type":"some"}}""",
        "tool_choice")]
    public void Request_ThatIsWrong_Is400ThatNamesTheField(string body, string? param)
    {
        var error = MessagesRequest.TryTranslate(Encoding.UTF8.GetBytes(body), counting: false, out _, out _);

        Assert.Equal((int)HttpStatusCode.BadRequest, error?.Status);
        Assert.Equal(param, error!.Param);
    }

    [Theory]
    [InlineData("""[{"role":"user","content":[{"type":"document","source":{"type":"base64","data":"AA"}}]}]""", "[]")]
    [InlineData("""[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]""", "[]")]
    [InlineData(
        """[{"role":"assistant","content":[{"type":"server_tool_use","id":"a","name":"web_search","input":{}}]},"""
        + """{"role":"user","content":"x"}]""",
        "[]")]
    [InlineData("""[{"role":"user","content":"x"}]""", """[{"type":"web_search_20250305","name":"web_search"}]""")]
    public void Request_ForAnthropicAlone_IsNoted(string messages, string tools)
    {
        var body = $$"""{"model":"m","max_tokens":9,"messages":{{messages}},"tools":{{tools}}}""";

        Assert.Null(MessagesRequest.TryTranslate(Encoding.UTF8.GetBytes(body), counting: false, out _, out var unfit));
        Assert.Equal((int)HttpStatusCode.BadRequest, unfit?.Status);
    }

    private static JsonNode Translate(string body)
    {
        Assert.Null(MessagesRequest.TryTranslate(Encoding.UTF8.GetBytes(body), counting: false, out var chat, out var unfit));
        Assert.Null(unfit);
        return JsonNode.Parse(chat)!;
    }

    private static void AssertJson(string expected, JsonNode actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), actual), $"expected {expected}\nbut got {actual.ToJsonString()}");
}
