using System.Text;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

public sealed class StreamJudgeTests
{
    [Theory]
    [InlineData("[DONE]", "Done")]
    [InlineData("{\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}", "None")]
    [InlineData("{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}}]}", "None")]
    [InlineData("{\"choices\":[],\"usage\":{\"total_tokens\":3}}", "None")]
    [InlineData("{\"choices\":[{\"delta\":{\"content\":\"x\"}}]}", "Content")]
    [InlineData("{\"choices\":[{\"delta\":{\"reasoning\":\"x\"}}]}", "Content")]
    [InlineData("{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}", "Content")]
    [InlineData("{\"choices\":[{\"text\":\"x\",\"finish_reason\":\"stop\"}]}", "Content, Finish")]
    [InlineData("{\"choices\":[{\"text\":\"\",\"logprobs\":{\"a\":[1]},\"finish_reason\":\"length\"}],\"error\":null}", "Finish")]
    [InlineData("{\"error\":{\"message\":\"m\",\"code\":500}}", "Error")]
    [InlineData("{\"error\":\"words\"}", "Error")]
    [InlineData("{\"error\":{\"message\":\"m\",\"code\":429}}", "Error")]
    [InlineData("{\"error\":{\"param\":{\"a\":1},\"code\":400}}", "Error, ClientFault")]
    [InlineData("{\"n\":1}", "Content")]
    [InlineData("{\"choices\":[{\"delta\":{\"content\":\"x", "Malformed")]
    [InlineData("{\"a\":1} x", "Malformed")]
    [InlineData("words", "Malformed")]
    [InlineData("[1]", "Malformed")]
    [InlineData("", "None")]
    public void Event_Payload_SaysWhatItIs(string data, string expected) =>
        Assert.Equal(Enum.Parse<EventSigns>(expected), StreamEvent.Read(Encoding.UTF8.GetBytes(data)).Signs);

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public void Stream_InPieces_PassesWholeEventsOnly(string newline)
    {
        var judge = new StreamJudge();
        var whole = $": c{newline}{newline}data: {{\"choices\":[{{\"delta\":{newline}data:{{\"content\":\"x\"}}}}]}}{newline}{newline}";
        var bytes = Encoding.UTF8.GetBytes(whole + "data: [DO");

        Assert.Equal(Encoding.UTF8.GetByteCount(whole), judge.Read(bytes).Left);
        Assert.True(judge.HasContent);
        Assert.False(judge.IsComplete);
        Assert.Null(judge.ReadLast("data: {\"half"u8.ToArray()));
        Assert.Equal(12, judge.ReadLast("data: [DONE]"u8.ToArray()));
        Assert.True(judge.IsDone);
    }

    [Fact]
    public void Stream_MalformedEvent_NothingFromItOnPasses()
    {
        var judge = new StreamJudge();
        var good = "data: {\"n\":1}\n\n"u8.Length;

        Assert.Equal(good, judge.Read("data: {\"n\":1}\n\ndata: {\"n\":\n\ndata: {\"n\":3}\n\n"u8.ToArray()).Read);
        Assert.Equal(ValueCanvas.InferenceProxy.Forwarding.AttemptFailure.Malformed, judge.Failure);
    }
}
