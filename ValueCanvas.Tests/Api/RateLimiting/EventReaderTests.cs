using System.Text;
using ValueCanvas.Api.RateLimiting.Tokens;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>What is read of streams in the languages that are spoken here.</summary>
public sealed class EventReaderTests
{
    private const string Start =
        """data: {"type":"message_start","message":{"id":"m","content":[],"""
        + """ "usage":{"input_tokens":10,"cache_read_input_tokens":90,"output_tokens":1}}}""";

    [Fact]
    public void Note_AnthropicsOwnStream_TakesThePromptFromTheFirstEventAndTheAnswerFromTheLast()
    {
        var reader = Read(
            Start,
            """data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}""",
            """data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}""");

        Assert.Equal((100, 15), reader.Usage);
        Assert.Equal((1, 5L), (reader.Pieces, reader.Bytes));
    }

    [Fact]
    public void Note_StreamMadeOfAChat_TakesBothFromTheEnd()
    {
        var reader = Read(
            """data: {"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}}""",
            """data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"""
            + """ "usage":{"input_tokens":7,"cache_read_input_tokens":3,"output_tokens":4}}""");

        Assert.Equal((10, 4), reader.Usage);
    }

    [Fact]
    public void Note_BrokenBehindItsFirstEvents_KnowsThePromptAndThePieces()
    {
        var reader = Read(Start, """data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"a\""}}""");

        Assert.Equal((100, 1), reader.Usage);
        Assert.Equal(1, reader.Pieces);
    }

    private static EventReader Read(params string[] events)
    {
        var reader = new EventReader();
        foreach (var one in events)
            reader.Note(Encoding.UTF8.GetBytes($"event: x\n{one}\n\n"));
        return reader;
    }
}
