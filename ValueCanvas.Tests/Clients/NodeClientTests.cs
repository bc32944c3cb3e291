namespace ValueCanvas.Tests.Clients;

/// <summary>OpenAI's own JavaScript client.</summary>
public sealed class OpenAiJavaScriptTests(
    ClientScript<OpenAiJavaScriptTests> script, ClientScriptThroughApi<OpenAiJavaScriptTests> throughApi)
    : NodeClientChecks<OpenAiJavaScriptTests>(script, throughApi), IClientLibrary
{
    public static string Script => "openai.mjs";

    public static TheoryData<string> Checks =>
    [
        "models", "chat", "stream", "tools", "stream_tools", "structured_output", "embeddings", "cancel", "bad_request",
        "unknown_model", "stream_error", "rate_limit", "overloaded",
    ];
}

/// <summary>The Vercel AI SDK.</summary>
public sealed class VercelTests(ClientScript<VercelTests> script, ClientScriptThroughApi<VercelTests> throughApi)
    : NodeClientChecks<VercelTests>(script, throughApi), IClientLibrary
{
    public static string Script => "vercel.mjs";

    public static TheoryData<string> Checks =>
    [
        "chat", "stream", "tools", "stream_tools", "structured_output", "embeddings", "cancel", "unknown_model", "stream_error",
        "rate_limit", "overloaded",
    ];
}

/// <summary>The Vercel AI SDK with its provider for OpenAI, <c>openai.chat(…)</c>.</summary>
public sealed class VercelOpenAiTests(ClientScript<VercelOpenAiTests> script, ClientScriptThroughApi<VercelOpenAiTests> throughApi)
    : NodeClientChecks<VercelOpenAiTests>(script, throughApi), IClientLibrary
{
    public static string Script => "vercel-openai.mjs";

    public static TheoryData<string> Checks => VercelTests.Checks;
}

/// <summary>Anthropic's own client.</summary>
public sealed class AnthropicJavaScriptTests(
    ClientScript<AnthropicJavaScriptTests> script, ClientScriptThroughApi<AnthropicJavaScriptTests> throughApi)
    : NodeClientChecks<AnthropicJavaScriptTests>(script, throughApi), IClientLibrary
{
    public static string Script => "anthropic.mjs";

    public static TheoryData<string> Checks =>
    [
        "chat", "cached_tokens", "stream", "stream_events", "stop_reasons", "tools", "stream_tools", "structured_output",
        "count_tokens", "cancel", "bad_request", "unknown_model", "stream_error", "rate_limit", "overloaded",
    ];
}

/// <summary>A library's script, and what it checks.</summary>
public interface IClientLibrary
{
    static abstract string Script { get; }

    static abstract TheoryData<string> Checks { get; }
}

public sealed class ClientScript<TLibrary>() : ClientScript(TLibrary.Script) where TLibrary : IClientLibrary;

public sealed class ClientScriptThroughApi<TLibrary>() : ClientScript(TLibrary.Script, throughApi: true) where TLibrary : IClientLibrary;

/// <summary>Each check of a library's script, against the proxy and against the Api.</summary>
public abstract class NodeClientChecks<TLibrary>(ClientScript<TLibrary> script, ClientScriptThroughApi<TLibrary> throughApi)
    : IClassFixture<ClientScript<TLibrary>>, IClassFixture<ClientScriptThroughApi<TLibrary>> where TLibrary : IClientLibrary
{
#pragma warning disable CA1000 // it is asked of the classes that derive, not written with a type argument
    public static TheoryData<string> All => TLibrary.Checks;
#pragma warning restore CA1000

    [Theory]
    [MemberData(nameof(All))]
    public void Library_ThroughTheProxy_WorksUnchanged(string check) => script.Passed(check);

    [Theory]
    [MemberData(nameof(All))]
    public void Library_ThroughTheApi_WorksUnchanged(string check) => throughApi.Passed(check);
}
