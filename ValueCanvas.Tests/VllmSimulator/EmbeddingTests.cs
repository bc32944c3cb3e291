namespace ValueCanvas.Tests.VllmSimulator;

public sealed class EmbeddingTests : IDisposable
{
    private readonly SimulatorServer _server = SimulatorServer.Start();

    public void Dispose() => _server.Dispose();

    private async Task<float[][]> EmbedAsync(object input, int? dimensions = null)
    {
        var answer = await _server.OkAsync("/v1/embeddings", new { model = SimulatorServer.Model, input, dimensions });
        return [.. answer.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("embedding").EnumerateArray().Select(value => value.GetSingle()).ToArray())];
    }

    private static float Cosine(float[] a, float[] b) => a.Zip(b, (x, y) => x * y).Sum();

    [Fact]
    public async Task Embed_SimilarTexts_AreNearerThanOthers()
    {
        var vectors = await EmbedAsync((List<string>)["An app that cuts food waste in bakeries", "The app cuts the food waste of a bakery", "Quarterly report of a steel works"]);

        Assert.All(vectors, vector => Assert.Equal(1, Cosine(vector, vector), 1e-4));
        Assert.True(Cosine(vectors[0], vectors[1]) > Cosine(vectors[0], vectors[2]) + 0.2);
    }

    [Fact]
    public async Task Embed_AnyForm_IsTheSameVector()
    {
        var text = (await EmbedAsync("same text"))[0];
        var tokens = await _server.OkAsync("/tokenize", new { prompt = "same text", add_special_tokens = false });
        var byTokens = (await EmbedAsync(tokens.GetProperty("tokens")))[0];
        var base64 = await _server.OkAsync("/v1/embeddings", new { input = "same text", encoding_format = "base64" });
        var bytes = base64.GetProperty("data")[0].GetProperty("embedding").GetBytesFromBase64();
        var shortened = (await EmbedAsync("same text", dimensions: 256))[0];

        Assert.Equal(1_024, text.Length);
        Assert.Equal(text, byTokens);
        Assert.Equal(text, System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes).ToArray());
        Assert.Equal(256, shortened.Length);
        Assert.Equal(1, Cosine(shortened, shortened), 1e-4);
    }

    [Theory]
    [InlineData("""{"input":[]}""")]
    [InlineData("""{"input":5}""")]
    [InlineData("""{"input":[-4]}""")]
    [InlineData("""{"input":"x","encoding_format":"hex"}""")]
    [InlineData("""{"input":"x","dimensions":0}""")]
    [InlineData("{}")]
    public async Task Embed_BadRequest_IsRefused(string body) => Assert.Equal(400, (await _server.PostAsync("/v1/embeddings", body)).Status);
}
