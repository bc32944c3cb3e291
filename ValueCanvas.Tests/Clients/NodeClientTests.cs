namespace ValueCanvas.Tests.Clients;

public sealed class OpenAiScript() : ClientScript("openai.mjs");

/// <summary>OpenAI's own JavaScript client.</summary>
public sealed class OpenAiJavaScriptTests(OpenAiScript script) : IClassFixture<OpenAiScript>
{
    [Theory]
    [InlineData("models")]
    [InlineData("chat")]
    [InlineData("stream")]
    [InlineData("tools")]
    [InlineData("stream_tools")]
    [InlineData("structured_output")]
    [InlineData("embeddings")]
    [InlineData("cancel")]
    [InlineData("bad_request")]
    [InlineData("unknown_model")]
    [InlineData("stream_error")]
    [InlineData("rate_limit")]
    [InlineData("overloaded")]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);
}

public sealed class VercelScript() : ClientScript("vercel.mjs");

/// <summary>The Vercel AI SDK.</summary>
public sealed class VercelTests(VercelScript script) : IClassFixture<VercelScript>
{
    [Theory]
    [InlineData("chat")]
    [InlineData("stream")]
    [InlineData("tools")]
    [InlineData("stream_tools")]
    [InlineData("structured_output")]
    [InlineData("embeddings")]
    [InlineData("cancel")]
    [InlineData("unknown_model")]
    [InlineData("stream_error")]
    [InlineData("rate_limit")]
    [InlineData("overloaded")]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);
}

public sealed class VercelOpenAiScript() : ClientScript("vercel-openai.mjs");

/// <summary>The Vercel AI SDK with its provider for OpenAI, <c>openai.chat(…)</c>.</summary>
public sealed class VercelOpenAiTests(VercelOpenAiScript script) : IClassFixture<VercelOpenAiScript>
{
    [Theory]
    [InlineData("chat")]
    [InlineData("stream")]
    [InlineData("tools")]
    [InlineData("stream_tools")]
    [InlineData("structured_output")]
    [InlineData("embeddings")]
    [InlineData("cancel")]
    [InlineData("unknown_model")]
    [InlineData("stream_error")]
    [InlineData("rate_limit")]
    [InlineData("overloaded")]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);
}

public sealed class AnthropicScript() : ClientScript("anthropic.mjs");

/// <summary>Anthropic's own client.</summary>
public sealed class AnthropicJavaScriptTests(AnthropicScript script) : IClassFixture<AnthropicScript>
{
    [Theory]
    [InlineData("chat")]
    [InlineData("cached_tokens")]
    [InlineData("stream")]
    [InlineData("stream_events")]
    [InlineData("stop_reasons")]
    [InlineData("tools")]
    [InlineData("stream_tools")]
    [InlineData("structured_output")]
    [InlineData("count_tokens")]
    [InlineData("cancel")]
    [InlineData("bad_request")]
    [InlineData("unknown_model")]
    [InlineData("stream_error")]
    [InlineData("rate_limit")]
    [InlineData("overloaded")]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);
}
