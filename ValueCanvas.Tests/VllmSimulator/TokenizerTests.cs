using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.Tests.VllmSimulator;

public sealed class TokenizerTests
{
    private const string English =
        "Continuous batching lets a server add new requests to a running batch at every step. The result is a much better use of the "
        + "hardware, because short answers no longer wait for long ones, and the memory for keys and values is shared in small blocks.";

    // Recorded: whoever stores ids must find the same text behind them after an update.
    private static readonly int[] KnownIds = [128_000, 2_000_866, 44, 2_000_001, 32, 1_052];

    [Theory]
    [InlineData("")]
    [InlineData("Hello, world!")]
    [InlineData("  two  spaces\n\n\nand   breaks \t tabs ")]
    [InlineData("{\"a\":[1,22,333,4444],\"b\":null}")]
    [InlineData("Grüße, 東京 🚀👩‍👩‍👧 ÿ\u0000\u001f")]
    [InlineData("\ud800 lone \udc00 surrogates")]
    [InlineData("CamelCase ABC aBc I'm 3.14159 0007")]
    [InlineData("<|begin_of_text|><|eot_id|><|nope|> < <|")]
    public void Decode_EncodedText_IsTheText(string text)
    {
        var tokens = Tokenizer.Encode(text);

        Assert.Equal(text, Tokenizer.Decode(tokens));
        Assert.All(tokens, token => Assert.True(Tokenizer.IsKnown(token)));
    }

    [Fact]
    public void Decode_RandomTexts_AreThemselves()
    {
        var random = new Random(7);
        const string alphabet = "abc XYZ\n\t  09{}[]\":,.<|>éß漢🚀";
        for (var run = 0; run < 2_000; run++)
        {
            var text = new string([.. Enumerable.Range(0, random.Next(60)).Select(_ => random.Next(8) == 0 ? (char)random.Next(0x10000) : alphabet[random.Next(alphabet.Length)])]);
            Assert.Equal(text, Tokenizer.Decode(Tokenizer.Encode(text)));
        }
    }

    [Fact]
    public void Encode_English_HasAboutFourCharactersAToken()
    {
        var perToken = (double)English.Length / Tokenizer.Encode(English).Length;

        Assert.InRange(perToken, 3.2, 5);
    }

    [Fact]
    public void EncodeWithEnds_AnyText_EndsWhereItsTokensEnd()
    {
        var (tokens, ends) = Tokenizer.EncodeWithEnds(English);

        for (var i = 0; i < tokens.Count; i++)
            Assert.Equal(English[(i == 0 ? 0 : ends[i - 1])..ends[i]], Tokenizer.Decode(tokens[i]));
    }

    [Fact]
    public void Encode_KnownWords_KeepsTheirIds() => Assert.Equal(KnownIds, Tokenizer.Encode("<|begin_of_text|>Hi, a 42"));

    [Fact]
    public async Task Tokenize_PromptThenDetokenize_GivesThePrompt()
    {
        using var server = SimulatorServer.Start();
        const string prompt = "Wie geht's? {\"x\": 1}";

        var tokens = await server.OkAsync("/tokenize", new { model = SimulatorServer.Model, prompt, return_token_strs = true });
        var text = await server.OkAsync("/detokenize", new { model = SimulatorServer.Model, tokens = tokens.GetProperty("tokens") });

        Assert.Equal(tokens.GetProperty("count").GetInt32(), tokens.GetProperty("tokens").GetArrayLength());
        Assert.Equal(131_072, tokens.GetProperty("max_model_len").GetInt32());
        Assert.Equal("<|begin_of_text|>" + prompt, string.Concat(tokens.GetProperty("token_strs").EnumerateArray().Select(item => item.GetString())));
        Assert.Equal(prompt, text.GetProperty("prompt").GetString());
    }

    [Fact]
    public async Task Tokenize_Messages_CountsWhatChatBills()
    {
        using var server = SimulatorServer.Start();
        var messages = SimulatorServer.User("How many tokens is this?");

        var tokens = await server.OkAsync("/tokenize", new { messages });
        var chat = await server.ChatAsync(new { messages, max_tokens = 1 });

        Assert.Equal(tokens.GetProperty("count").GetInt32(), chat.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
    }
}
