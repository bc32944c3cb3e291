namespace ValueCanvas.Tests.Clients;

public sealed class OpenAiScript() : ClientScript("openai.mjs");

public sealed class OpenAiScriptThroughApi() : ClientScript("openai.mjs", throughApi: true);

/// <summary>OpenAI's own JavaScript client.</summary>
public sealed class OpenAiJavaScriptTests(OpenAiScript script, OpenAiScriptThroughApi throughApi)
    : IClassFixture<OpenAiScript>, IClassFixture<OpenAiScriptThroughApi>
{
    public static TheoryData<string> Checks =>
    [
        "models", "chat", "stream", "tools", "stream_tools", "structured_output", "embeddings", "cancel", "bad_request",
        "unknown_model", "stream_error", "rate_limit", "overloaded",
    ];

    [Theory]
    [MemberData(nameof(Checks))]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);

    [Theory]
    [MemberData(nameof(Checks))]
    public void Library_ThroughTheApi_WorksUnchanged(string check) => throughApi.Passed(check);
}

public sealed class VercelScript() : ClientScript("vercel.mjs");

public sealed class VercelScriptThroughApi() : ClientScript("vercel.mjs", throughApi: true);

/// <summary>The Vercel AI SDK.</summary>
public sealed class VercelTests(VercelScript script, VercelScriptThroughApi throughApi)
    : IClassFixture<VercelScript>, IClassFixture<VercelScriptThroughApi>
{
    public static TheoryData<string> Checks =>
    [
        "chat", "stream", "tools", "stream_tools", "structured_output", "embeddings", "cancel", "unknown_model", "stream_error",
        "rate_limit", "overloaded",
    ];

    [Theory]
    [MemberData(nameof(Checks))]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);

    [Theory]
    [MemberData(nameof(Checks))]
    public void Library_ThroughTheApi_WorksUnchanged(string check) => throughApi.Passed(check);
}

public sealed class VercelOpenAiScript() : ClientScript("vercel-openai.mjs");

public sealed class VercelOpenAiScriptThroughApi() : ClientScript("vercel-openai.mjs", throughApi: true);

/// <summary>The Vercel AI SDK with its provider for OpenAI, <c>openai.chat(…)</c>.</summary>
public sealed class VercelOpenAiTests(VercelOpenAiScript script, VercelOpenAiScriptThroughApi throughApi)
    : IClassFixture<VercelOpenAiScript>, IClassFixture<VercelOpenAiScriptThroughApi>
{
    public static TheoryData<string> Checks =>
    [
        "chat", "stream", "tools", "stream_tools", "structured_output", "embeddings", "cancel", "unknown_model", "stream_error",
        "rate_limit", "overloaded",
    ];

    [Theory]
    [MemberData(nameof(Checks))]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);

    [Theory]
    [MemberData(nameof(Checks))]
    public void Library_ThroughTheApi_WorksUnchanged(string check) => throughApi.Passed(check);
}

public sealed class AnthropicScript() : ClientScript("anthropic.mjs");

public sealed class AnthropicScriptThroughApi() : ClientScript("anthropic.mjs", throughApi: true);

/// <summary>Anthropic's own client.</summary>
public sealed class AnthropicJavaScriptTests(AnthropicScript script, AnthropicScriptThroughApi throughApi)
    : IClassFixture<AnthropicScript>, IClassFixture<AnthropicScriptThroughApi>
{
    public static TheoryData<string> Checks =>
    [
        "chat", "cached_tokens", "stream", "stream_events", "stop_reasons", "tools", "stream_tools", "structured_output",
        "count_tokens", "cancel", "bad_request", "unknown_model", "stream_error", "rate_limit", "overloaded",
    ];

    [Theory]
    [MemberData(nameof(Checks))]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);

    [Theory]
    [MemberData(nameof(Checks))]
    public void Library_ThroughTheApi_WorksUnchanged(string check) => throughApi.Passed(check);
}
