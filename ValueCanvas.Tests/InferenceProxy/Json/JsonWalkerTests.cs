using System.Text;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Json;

namespace ValueCanvas.Tests.InferenceProxy.Json;

/// <summary>The walker accepts, refuses and finds exactly what <see cref="Utf8JsonReader"/> does.</summary>
public sealed class JsonWalkerTests
{
    private static readonly string[] Pieces =
        ["{", "}", "[", "]", ",", ":", "\"", "\\", "\\u12aF", "\\n", "\\x", "\u0001", "-", "0", "1", "01", "1e5", "1E+", "0.5", ".", "tru",
            "true", "null",
            "false", " ", "\r\n", "\t", "é", "a", "/", "//", "model", "\"a\":", "\ud83d\ude00", "\\ud83d", "\0"];

    private static readonly string[] Words = ["true", "false", "null", "1e10", "-0.5E-3"];

    private static readonly string[] Runs =
        ["plain words of a prompt that is longer than a vector is wide", "\\n", "\\\"", "\\u00e9", "é", "\ud83d\ude00", "/", "\\/"];

    [Theory]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"a\"b\\c\nd\u00e9"}],"n":-1.5e-7,"stream":true,"x":null}""")]
    [InlineData("{}")]
    [InlineData(" [ ] ")]
    [InlineData("[1,]")]
    [InlineData("{\"a\":1,}")]
    [InlineData("{\"a\" 1}")]
    [InlineData("[-]")]
    [InlineData("[1.]")]
    [InlineData("[1e]")]
    [InlineData("[truex]")]
    [InlineData("{} {}")]
    [InlineData("{\"a\":\"\\u12g4\"}")]
    [InlineData("{\"a\":\"\\u12")]
    [InlineData("{\"a\":\"line\nbreak\"}")]
    [InlineData("")]
    [InlineData("/* c */ {}")]
    public void Read_Text_SameTokensAndErrors(string json) => AssertSame(Encoding.UTF8.GetBytes(json));

    [Theory]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(129)]
    public void Read_Depth_SameLimit(int depth) =>
        AssertSame(Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"a\":[", depth / 2)) + (depth % 2 == 1 ? "{" : "")));

    [Fact]
    public void Read_GeneratedAndMutated_SameTokensAndErrors()
    {
        var random = new Random(17);
        for (var i = 0; i < 20_000; i++)
        {
            var text = new StringBuilder();
            Generate(random, text, depth: 0);
            var json = Encoding.UTF8.GetBytes(text.ToString());
            AssertSame(json);
            AssertSame(Mutate(random, json));
        }
    }

    [Fact]
    public void Read_RandomPieces_SameTokensAndErrors()
    {
        var random = new Random(23);
        for (var i = 0; i < 50_000; i++)
        {
            AssertSame(Encoding.UTF8.GetBytes(
                string.Concat(Enumerable.Range(0, random.Next(1, 14)).Select(_ => Pieces[random.Next(Pieces.Length)]))));
        }
    }

    private static void AssertSame(byte[] json)
    {
        var expected = new List<string>();
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 128 });
        try
        {
            while (reader.Read())
            {
                var isName = reader.TokenType == JsonTokenType.PropertyName;
                expected.Add($"{reader.TokenType} {reader.TokenStartIndex} {(isName ? 0 : reader.BytesConsumed)} {Text(reader)}");
            }
        }
        catch (JsonException e)
        {
            expected.Add($"{e.LineNumber} {e.BytePositionInLine}");
        }

        var found = new List<string>();
        var walker = new JsonWalker(json);
        try
        {
            while (walker.Read())
            {
                var isName = walker.TokenType == JsonTokenType.PropertyName;
                found.Add($"{walker.TokenType} {walker.TokenStartIndex} {(isName ? 0 : walker.BytesConsumed)} {Text(walker)}");
            }
        }
        catch (JsonException e)
        {
            found.Add($"{e.LineNumber} {e.BytePositionInLine}");
        }

        // A malformed text may be noticed a token earlier or later; that it is, and where, is the same.
        var refused = !expected.Any(token => char.IsLetter(token[0])) || char.IsDigit(expected[^1][0]);
        var same = refused ? found.Count > 0 && expected.Count > 0 && found[^1] == expected[^1] : found.SequenceEqual(expected);
        Assert.True(same, $"{Encoding.UTF8.GetString(json)}\nexpected {string.Join(", ", expected)}\nfound {string.Join(", ", found)}");
    }

    private static string? Text(Utf8JsonReader reader)
    {
        try
        {
            return reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName
                ? $"{reader.GetString()} {reader.ValueIsEscaped} {reader.ValueTextEquals("model"u8)}"
                    : Encoding.UTF8.GetString(reader.ValueSpan);
        }
        catch (InvalidOperationException)
        {
            return null; // half of a surrogate pair, or no UTF-8
        }
    }

    private static string? Text(JsonWalker walker)
    {
        try
        {
            return walker.TokenType is JsonTokenType.String or JsonTokenType.PropertyName
                ? $"{walker.GetString()} {walker.ValueIsEscaped} {walker.ValueTextEquals("model"u8)}"
                    : Encoding.UTF8.GetString(walker.ValueSpan);
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static void Generate(Random random, StringBuilder text, int depth)
    {
        var space = () => text.Append(random.Next(8) == 0 ? " \n" : "");
        switch (random.Next(depth > 4 ? 5 : 8))
        {
            case 0: text.Append(random.Next(-1000, 1000)); break;
            case 1: text.Append(random.NextDouble().ToString("R", System.Globalization.CultureInfo.InvariantCulture)); break;
            case 2: text.Append(Words[random.Next(Words.Length)]); break;
            case 3 or 4: String(random, text); break;
            case 5:
                text.Append('[');
                for (var i = random.Next(4); i > 0; i--)
                {
                    space();
                    Generate(random, text, depth + 1);
                    text.Append(i > 1 ? "," : "");
                }

                space();
                text.Append(']');
                break;
            default:
                text.Append('{');
                for (var i = random.Next(4); i > 0; i--)
                {
                    space();
                    String(random, text);
                    text.Append(':');
                    Generate(random, text, depth + 1);
                    space();
                    text.Append(i > 1 ? "," : "");
                }

                text.Append('}');
                break;
        }
    }

    private static void String(Random random, StringBuilder text)
    {
        text.Append('"');
        if (random.Next(6) == 0)
            text.Append(random.Next(2) == 0 ? "model" : "mod\\u0065l");

        for (var i = random.Next(6); i > 0; i--)
            text.Append(Runs[random.Next(Runs.Length)]);

        text.Append('"');
    }

    private static byte[] Mutate(Random random, byte[] json)
    {
        var mutated = json.ToList();
        for (var i = random.Next(1, 3); i > 0 && mutated.Count > 0; i--)
        {
            var at = random.Next(mutated.Count);
            switch (random.Next(4))
            {
                case 0: mutated.RemoveAt(at); break;
                case 1: mutated[at] = (byte)random.Next(256); break;
                case 2: mutated.InsertRange(at, Encoding.UTF8.GetBytes(Pieces[random.Next(Pieces.Length)])); break;
                default: mutated.RemoveRange(at, mutated.Count - at); break;
            }
        }

        return [.. mutated];
    }
}
