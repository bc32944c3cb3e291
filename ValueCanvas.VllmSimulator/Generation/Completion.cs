using ValueCanvas.VllmSimulator.Engine;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>A tool call opens at a token of the completion and at an offset of its text, which holds the arguments.</summary>
internal sealed record ToolCall(string Id, string Name, int OpensAtToken, int TextStart);

/// <summary>
/// One whole answer, token by token. <see cref="Ends"/> says for each token how much of <see cref="Text"/> is out with it; with tool
/// calls the text is their arguments one after the other, and the tokens of the call's head bring none of it.
/// </summary>
internal sealed record Completion(string Text, int[] Tokens, int[] Ends, FinishReason Finish, string? StopString,
    IReadOnlyList<ToolCall> ToolCalls)
{
    /// <summary>The stop token that ended it, where one of the request's did.</summary>
    public int? StopToken { get; init; }

    public ReadOnlySpan<char> Delta(int token) =>
        Text.AsSpan(token == 0 ? 0 : Ends[token - 1], Ends[token] - (token == 0 ? 0 : Ends[token - 1]));

    public string FinishName => Finish switch
    {
        FinishReason.Length => "length",
        _ when ToolCalls.Count > 0 => "tool_calls",
        _ => "stop",
    };

    public ReadOnlySpan<char> ArgumentsOf(int call)
    {
        var end = call + 1 < ToolCalls.Count ? ToolCalls[call + 1].TextStart : Text.Length;
        return Text.AsSpan(ToolCalls[call].TextStart, end - ToolCalls[call].TextStart);
    }

    /// <summary>The tool call that a token belongs to; -1 in a text answer.</summary>
    public int CallAt(int token)
    {
        var call = ToolCalls.Count - 1;
        while (call > 0 && ToolCalls[call].OpensAtToken > token)
            call--;
        return call;
    }
}
