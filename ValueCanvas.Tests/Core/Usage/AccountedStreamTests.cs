using System.Text;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Metering;

namespace ValueCanvas.Tests.Core.Usage;

public sealed class AccountedStreamTests
{
    private const string Mark = "0123456789abcdef01234567";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Stream_CutAnywhere_IsWhatItWouldHaveBeen(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 200; round++)
        {
            // What a model may send: also what begins like the accounts, and comments of others.
            string[] events =
            [
                "data: {\"a\":1}\n\n", ": keep-alive\n\n", $":{Mark[..12]}\n\n", "data: :\n\n", $"data: x:{Mark[..^1]} 1\n\n",
                    new string('z', 40_000) + "\n\n",
            ];
            var (plain, told) = (new StringBuilder(), new StringBuilder());
            for (var i = 0; i < 12; i++)
            {
                var text = events[random.Next(events.Length)];
                plain.Append(text);
                told.Append(random.Next(2) == 0 ? $":{Mark} {i} {i} 0 0\n\n" : "").Append(text);
            }

            plain.Append("data: [DONE]\n\n");
            told.Append("data: [DONE]\n\n").Append($":{Mark} {{\"whole\":true,\"usage\":[7,9,3,2],\"attempts\":[]}}\n\n");
            var call = new InferenceCall(Guid.NewGuid()) { Route = "/test" };
            await using var stream = new AccountedStream(new Pieces(Encoding.UTF8.GetBytes(told.ToString()), random), Mark,
                new CallMeter(call));

            Assert.Equal(plain.ToString(), await ReadAsync(stream, random));
            Assert.Equal(new TokenUsage(7, 9, 3, 2), call.Outcome.Usage);
            Assert.Equal((UsageSource.Reported, true), (call.Outcome.UsageSource, call.Outcome.IsComplete));
        }
    }

    [Fact]
    public async Task Stream_Cut_HasTheLastRunningCount()
    {
        var call = new InferenceCall(Guid.NewGuid()) { Route = "/test" };
        var bytes = Encoding.UTF8.GetBytes($":{Mark} 5 1 0 0\n\ndata: a\n\n:{Mark} 5 2 0 0\n\ndata: b\n\n:{Mark} 5 3 0");
        await using var stream = new AccountedStream(new Pieces(bytes, new Random(1)), Mark, new CallMeter(call));

        Assert.Equal("data: a\n\ndata: b\n\n", await ReadAsync(stream, new Random(2)));
        Assert.Equal(new TokenUsage(5, 2, 0), call.Outcome.Usage);
        Assert.Equal((UsageSource.Running, false), (call.Outcome.UsageSource, call.Outcome.IsComplete));
    }

    [Theory]
    [InlineData("data: a\n\ndata: [DONE]\n\n", "data: [DONE]\n\n")]
    [InlineData("data: a\n\ndata:[DONE]\n\n: x\n\n", "data:[DONE]\n\n: x\n\n")]
    [InlineData("event: message_delta\ndata: {}\n\nevent: message_stop\ndata: {}\n\n", "event: message_stop\ndata: {}\n\n")]
    [InlineData("data: {\"content\":\"data: [DONE]\"}\n\n", "")]
    [InlineData("data: [DO\n\ndata: a\n\n", "")]
    public void End_WhereverReadsCutIt_WaitsAndNothingElseDoes(string text, string waits)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var first = 0; first <= bytes.Length; first++)
        {
            for (var second = first; second <= bytes.Length; second += 3)
            {
                var end = new StreamEnd();
                var passed = 0;
                foreach (var (from, to) in new[] { (0, first), (first, second), (second, bytes.Length) })
                {
                    var hold = end.Note(bytes.AsSpan(from, to - from));
                    passed = Math.Max(passed, hold == int.MaxValue ? passed : to - hold);
                }

                Assert.Equal(waits.Length > 0, end.HasCome);
                Assert.Equal(text.Length - waits.Length, passed);
            }
        }
    }

    private static async Task<string> ReadAsync(Stream stream, Random random)
    {
        using var all = new MemoryStream();
        var buffer = new byte[20_000];
        int read;
        while ((read = await stream.ReadAsync(buffer.AsMemory(0, random.Next(1, buffer.Length)), Cancellation)) > 0)
            all.Write(buffer, 0, read);
        return Encoding.UTF8.GetString(all.ToArray());
    }

    /// <summary>Gives its bytes in pieces of any size.</summary>
    private sealed class Pieces(byte[] bytes, Random random) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, random.Next(4) == 0 ? random.Next(1, 4) : random.Next(1, 5000))],
                cancellationToken);
    }
}
