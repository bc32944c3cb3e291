using System.Text;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

public sealed class DeclinesTests
{
    // As the providers word them.
    [Theory]
    [InlineData(
        400,
        """{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","""
        + """ "code":"context_length_exceeded"}}""")]
    [InlineData(
        400,
        """{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.","""
        + """ "type":"BadRequestError","param":null,"code":400}""")]
    [InlineData(
        400,
        """{"error":{"message":"The decoder prompt (length 9000) is longer than the maximum model length of 8192.","""
        + """ "type":"BadRequestError","code":400}}""")]
    [InlineData(
        400,
        """[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","""
        + """ "status":"INVALID_ARGUMENT"}}]""")]
    [InlineData(400, """{"error":"the input length exceeds the context length"}""")]
    [InlineData(
        400,
        """{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}""")]
    [InlineData(
        422,
        """{"error":{"message":"Input validation error: `inputs` tokens + `max_new_"""
        + """tokens` must be <= 4097.","type":"invalid_request_error"}}""")]
    public void ContextWindow_InAProvidersWords_IsRecognised(int status, string body) =>
        Assert.Equal(AttemptFailure.ContextWindow, Declines.Of(status, Encoding.UTF8.GetBytes(body)));

    [Theory]
    [InlineData(400, """{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}""")]
    [InlineData(
        400,
        """{"error":{"code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"},"message":"m"}}""")]
    [InlineData(403, """{"error":{"message":"m","code":"content_filter"}}""")]
    [InlineData(400, """{"error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}""")]
    [InlineData(
        400,
        """{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}""")]
    [InlineData(200, """{"choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":"content_filter"}]}""")]
    [InlineData(200, """{"choices":[{"index":0,"message":{"role":"assistant"},"finish_reason":"content_filter: PROHIBITED_CONTENT"}]}""")]
    public void ContentPolicy_InAProvidersWords_IsRecognised(int status, string body) =>
        Assert.Equal(AttemptFailure.ContentPolicy, Declines.Of(status, Encoding.UTF8.GetBytes(body)));

    [Theory]
    [InlineData(
        400,
        """{"error":{"message":"The field 'temperature' """
        + """must be a number.","type":"invalid_request_error","param":"temperature","code":null}}""")]
    [InlineData(403, """{"error":{"message":"The key has no access.","code":"access_denied"}}""")]
    [InlineData(500, """{"error":{"message":"m","code":"context_length_exceeded"}}""")]
    [InlineData(400, """{"input":"prompt is too long"}""")]
    [InlineData(400, """no JSON, but prompt is too long""")]
    [InlineData(400, """{"error":{"message":"prompt""")]
    [InlineData(400, """{"error":{"message":"\ud800"}}""")]
    [InlineData(200, """{"choices":[{"index":0,"message":{"role":"assistant","content":"half"},"finish_reason":"content_filter"}]}""")]
    [InlineData(200, """{"choices":[{"index":0,"message":{"role":"assistant","content":"\"content_filter"},"finish_reason":"stop"}]}""")]
    [InlineData(
        200,
        """{"choices":[{"index":0,"message":{"content":""},"finish_reason":"content_filter"},"""
        + """{"index":1,"message":{"content":"yes"},"finish_reason":"stop"}]}""")]
    [InlineData(
        200,
        """{"choices":[{"message":{"content":null,"tool_calls":[{"id":"content_filter"}]},"finish_reason":"content_filter"}]}""")]
    public void AnythingElse_IsNone(int status, string body) =>
        Assert.Equal(AttemptFailure.None, Declines.Of(status, Encoding.UTF8.GetBytes(body)));
}
