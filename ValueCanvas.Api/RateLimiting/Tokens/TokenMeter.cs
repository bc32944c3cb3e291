using System.Text;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.RateLimiting.Tokens;

/// <summary>Follows the answer of one request whose tokens are limited, and says in the end how many it has used.</summary>
/// <param name="prompt">Tokens of the prompt, as estimated.</param>
/// <param name="reserved">Of prompt and output.</param>
/// <param name="isStrict">What is not known counts as the most that it can be.</param>
internal sealed class TokenMeter(long prompt, long reserved, bool isStrict)
{
    private EventReader? _events;
    private UsageReader? _answer;
    private (int Prompt, int Output)? _told;
    private int _pieces;
    private long _bytes;

    /// <summary>No model has worked: nothing is owed.</summary>
    public bool IsFree { get; set; }

    /// <summary>What the model server told, if it did.</summary>
    public (int Prompt, int Output)? Told => _told ?? _events?.Usage ?? _answer?.Read();

    /// <summary>Null where the request's tokens are not limited.</summary>
    public static TokenMeter? Of(HttpContext context) => context.Features.Get<TokenMeter>();

    public void Report(TokenUsage? usage) => Report(usage?.InputTokens, usage?.OutputTokens);

    public void Report(int? prompt, int? output) => _told = prompt is { } read ? (read, output ?? 0) : _told;

    /// <summary>A piece of a streamed answer.</summary>
    public void NotePiece(string text)
    {
        _pieces++;
        _bytes += Encoding.UTF8.GetByteCount(text);
    }

    /// <summary>Bytes of an answer of OpenAI's API on their way.</summary>
    public void Note(ReadOnlySpan<byte> bytes, bool streamed)
    {
        if (streamed)
            (_events ??= new EventReader()).Note(bytes);
        else
            (_answer ??= new UsageReader()).Note(bytes);
    }

    public long Used()
    {
        if (Told is { } told)
            return (long)told.Prompt + told.Output;
        if (IsFree)
            return 0;
        var pieces = _pieces + (_events?.Pieces ?? 0);
        // Nobody knows how far a model had come that was left before it said anything.
        return pieces == 0 ? reserved : Math.Min(reserved, prompt + (isStrict ? _bytes + (_events?.Bytes ?? 0) : pieces));
    }
}
