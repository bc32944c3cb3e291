using System.Text;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class UsageTests
{
    [Theory]
    [InlineData("""{"choices":[],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3}}""", 7, 3, 0, 0)]
    [InlineData(
        """{"usage" : {"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4,"x":[1]},"""
        + """ "completion_tokens_details":{"reasoning_tokens":2}},"z":null}""",
        7, 3, 4, 2)]
    [InlineData("""{"data":[],"usage":{"prompt_tokens":7,"total_tokens":7,"prompt_tokens_details":null}}""", 7, 0, 0, 0)]
    [InlineData(
        """{"choices":[{"message":{"content":"a \"usage\":{\"prompt_tokens\":1}"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}""",
        9, 1, 0, 0)]
    public void Answer_WithUsage_IsRead(string answer, int prompt, int completion, int cached, int reasoning) =>
        Assert.Equal(new Usage(prompt, completion, cached, reasoning), Usage.Find(Encoding.UTF8.GetBytes(answer)));

    [Theory]
    [InlineData("""{"choices":[]}""")]
    [InlineData("""{"usage":null}""")]
    [InlineData("""{"usage":{"total_tokens":3}}""")]
    [InlineData("""{"kind":"usage"}""")]
    [InlineData("""{"usage":{"prompt_tokens":7,"compl""")]
    [InlineData("""{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":1}"}}]}""")]
    public void Answer_WithoutUsage_HasNone(string answer) => Assert.Null(Usage.Find(Encoding.UTF8.GetBytes(answer)));

    [Fact]
    public void Stream_RunningUsageOfTwoChoices_IsTheirSumUntilTheBill()
    {
        var judge = new StreamJudge();
        judge.Read(Chunk(0, completion: 1));
        judge.Read(Chunk(0, completion: 2));
        Assert.Equal(new Usage(5, 2), judge.Usage);
        judge.Read(Chunk(1, completion: 4));
        Assert.Equal(new Usage(5, 6), judge.Usage);
        judge.Read(Chunk(0, completion: 3));
        Assert.Equal(new Usage(5, 7), judge.Usage);
        Assert.Equal(4, judge.ContentEvents);
        judge.Read("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":8}}\n\n"u8.ToArray());
        Assert.Equal(new Usage(5, 8), judge.Usage);

        static byte[] Chunk(int choice, int completion) => Encoding.UTF8.GetBytes(
            $"data: {{\"choices\":[{{\"index\":{choice},\"delta\":{{\"content\":\"a\"}}}}],"
            + $"\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{completion}}}}}\n\n");
    }
}
