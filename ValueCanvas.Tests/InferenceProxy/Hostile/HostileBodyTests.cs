using System.Net;
using System.Net.Http.Headers;
using System.Text;

namespace ValueCanvas.Tests.InferenceProxy.Hostile;

/// <summary>
/// Bodies that are meant to hurt, at the proxy as it is built: refused with an error object, cheaply, or passed on as they are.
/// </summary>
[Collection(nameof(Hostile))]
public sealed class HostileBodyTests(HostileProxy proxy)
{
    private static readonly string DeepArray = new string('[', 100_000) + new string(']', 100_000);
    private static readonly string DeepObject = string.Concat(Enumerable.Repeat("{\"a\":", 100_000)) + "1" + new string('}', 100_000);

    public static TheoryData<string, string, int> Bodies => new()
    {
        { "deep array at the top", DeepArray, 400 },
        { "deep array in an unknown field", $$"""{"x":{{DeepArray}},"model":"default"}""", 400 },
        { "deep object behind the model", $$"""{"model":"default","tools":[{{DeepObject}}]}""", 400 },
        { "deep array in the messages", $$"""{"model":"default","messages":{{DeepArray}}}""", 400 },
        { "nesting that never ends", "{\"model\":\"default\",\"messages\":" + new string('[', 1_000_000), 400 },
        { "truncated", """{"model":"default","messages":[{"role":"us""", 400 },
        { "empty", "", 400 },
        { "no object", "[1,2]", 400 },
        { "two documents", """{"model":"default"}{"model":"default"}""", 400 },
        { "byte order mark", "\uFEFF{\"model\":\"default\"}", 400 },
        { "NUL in the JSON", "{\"model\":\"default\"\0}", 400 },
        { "NUL in the model", "{\"model\":\"de\\u0000fault\"}", 404 },
        { "the model twice", """{"model":"default","model":"other"}""", 400 },
        { "the model twice, once escaped", """{"model":"default","mod\u0065l":"other"}""", 400 },
        { "half a surrogate pair as the model", """{"model":"\ud800"}""", 400 },
        { "half a surrogate pair in a message", """{"model":"default","messages":[{"role":"user","content":"\udc00 x \ud800"}]}""", 200 },
        { "half a surrogate pair as a key", """{"model":"default","\ud800":1,"messages":[]}""", 400 },
        { "a number beyond all bounds", """{"model":"default","temperature":1e999999,"max_tokens":1e999999}""", 200 },
        { "a number as the model", """{"model":1e999999}""", 400 },
        { "a stream that is text", """{"model":"default","stream":"yes"}""", 400 },
        { "many keys", "{" + string.Concat(Enumerable.Range(0, 200_000).Select(i => $"\"k{i}\":{i},")) + "\"model\":\"default\"}", 200 },
        { "a name without end", $$"""{"model":"{{new string('m', 1_000_000)}}"}""", 400 },
    };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Bodies), DisableDiscoveryEnumeration = true)]
    public async Task Body_Hostile_IsRefusedOrPassedOn(string what, string body, int status)
    {
        await proxy.StartedAsync();
        var before = proxy.Process.CpuTime;
        foreach (var path in (string[])["/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
        {
            using var response = await PostAsync(Encoding.UTF8.GetBytes(body), path);
            Assert.Equal((what, status), (what, (int)response.StatusCode));
            if (status != 200)
                await response.ErrorAsync();
        }

        // Fifty times what the largest of them takes.
        Assert.InRange(proxy.Process.CpuTime - before, TimeSpan.Zero, TimeSpan.FromSeconds(3));
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/chat/completions/batch")]
    [InlineData("/v1/messages")]
    public async Task InvalidUtf8_IsRefused(string path)
    {
        await proxy.StartedAsync();
        using var response = await PostAsync([.. "{\"model\":\"default\",\"x\":\""u8, 0xC3, 0x28, 0xFF, .. "\"}"u8], path);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Theory]
    [InlineData("""{"requests":[{"model":"default"}],"max_concurrency":1e999999}""")]
    [InlineData("""{"requests":[[[[[[1]]]]]],"max_concurrency":-1}""")]
    [InlineData("""{"requests":null}""")]
    public async Task Batch_Hostile_Is400(string body)
    {
        await proxy.StartedAsync();
        using var response = await PostAsync(Encoding.UTF8.GetBytes(body), "/v1/chat/completions/batch");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        await response.ErrorAsync();
    }

    [Fact]
    public async Task ManyLargeBodies_AtTheSameTime_TakeBoundedMemory()
    {
        await proxy.StartedAsync();
        var body = new byte[30 * 1024 * 1024];
        Array.Fill(body, (byte)' ');
        "{\"model\":\"default\"}"u8.CopyTo(body);

        // One after another: what is left of each is collected before much has come together.
        for (var i = 0; i < 12; i++)
        {
            using var response = await PostAsync(body);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        // More than a gigabyte in all against a budget of 80 MB.
        var statuses = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => StatusAsync(body)));

        Assert.All(statuses, status => Assert.Contains(status, (int?[])[200, 503, null]));
        Assert.Contains(503, statuses);
        Assert.InRange(proxy.Process.PeakMemory, 0, HostileProxy.MaxBufferedBytes + 240L * 1024 * 1024);

        using var after = await PostAsync(body);
        Assert.Equal(HttpStatusCode.OK, after.StatusCode); // everything was given back
    }

    private async Task<int?> StatusAsync(byte[] body)
    {
        try
        {
            using var response = await PostAsync(body);
            return (int)response.StatusCode;
        }
        catch (HttpRequestException)
        {
            return null; // refused, and the connection closed before the body was sent
        }
    }

    private async Task<HttpResponseMessage> PostAsync(byte[] body, string path = "/v1/chat/completions")
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return await proxy.Client.PostAsync(path, content, Cancel);
    }
}
