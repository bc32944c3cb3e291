using System.Text;
using ValueCanvas.InferenceProxy.Json;

namespace ValueCanvas.Tests.InferenceProxy.Json;

public sealed class CanonicalJsonTests
{
    private static readonly (string Written, string Means)[] Pieces =
    [
        ("a", "a"), ("plain words of a prompt that is longer than a vector is wide",
            "plain words of a prompt that is longer than a vector is wide"),
        ("\\n", "\n"), ("\\u000A", "\n"), ("\\\"", "\""), ("\\\\", "\\"), ("\\u0022", "\""), ("\\/", "/"), ("/", "/"), ("é", "é"),
        ("\\u00e9", "é"), ("\ud83d\ude00", "\ud83d\ude00"), ("\\ud83d\\uDE00", "\ud83d\ude00"), ("\\ud83d", "\\ud83d"), (" : , ", " : , "),
    ];

    private static readonly string[] Others = ["true", "null", "-1.5e7", "0"];

    [Fact]
    public void Read_RandomTextsAndWindows_IsWhatTheyMean()
    {
        var random = new Random(31);
        for (var i = 0; i < 5_000; i++)
        {
            var (json, means) = (new StringBuilder(), new StringBuilder());
            Write(random, json, means, depth: 0);

            var canonical = new CanonicalJson(Encoding.UTF8.GetBytes(json.ToString()));
            var read = new List<byte>();
            var window = new byte[100];
            while (canonical.Read(window.AsSpan(0, random.Next(JsonEscapes.MostBytes, window.Length))) is var count and > 0)
                read.AddRange(window.AsSpan(0, count));

            Assert.Equal(means.ToString(), Encoding.UTF8.GetString([.. read]));
        }
    }

    private static void Write(Random random, StringBuilder json, StringBuilder means, int depth)
    {
        switch (random.Next(depth > 3 ? 2 : 4))
        {
            case 0:
                Both(Others[random.Next(Others.Length)]);
                break;
            case 1:
                WriteString(random, json, means);
                break;
            case var kind:
                Both(kind == 2 ? "[" : "{");
                for (var i = random.Next(4); i > 0; i--)
                {
                    Space();
                    if (kind == 3)
                    {
                        WriteString(random, json, means);
                        Space();
                        json.Append(':');
                        Space();
                    }

                    Write(random, json, means, depth + 1);
                    Space();
                    Both(i > 1 ? "," : "");
                }

                Both(kind == 2 ? "]" : "}");
                break;
        }

        void Both(string text)
        {
            json.Append(text);
            means.Append(text);
        }

        void Space() => json.Append(random.Next(6) == 0 ? " \r\n\t" : "");
    }

    private static void WriteString(Random random, StringBuilder json, StringBuilder means)
    {
        json.Append('"');
        means.Append('"');
        for (var i = random.Next(6); i > 0; i--)
        {
            var (written, meant) = Pieces[random.Next(Pieces.Length)];
            json.Append(written);
            means.Append(meant);
        }

        json.Append('"');
    }
}
