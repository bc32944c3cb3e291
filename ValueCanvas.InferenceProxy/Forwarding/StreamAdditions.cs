using System.Text.Json;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resuming;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// What the gateway asks of a stream beyond what its client asked, and takes out of the answer again: usage at the end, running usage, so
/// that a stream which nobody reads to its end has a bill, too, and token ids, with which another server can go on exactly. Asked for
/// usage, most servers add the field to every chunk; vLLM does so for running usage.
/// </summary>
internal readonly record struct StreamAdditions(bool Usage, bool RunningUsage, bool ChunkUsage, bool TokenIds)
{
    private static readonly byte[] AskUsage = "\"include_usage\":true"u8.ToArray();
    private static readonly byte[] AskRunning = "\"continuous_usage_stats\":true"u8.ToArray();
    private static readonly byte[] AskBoth = "\"include_usage\":true,\"continuous_usage_stats\":true"u8.ToArray();
    private static readonly byte[] UsageOption = [.. "{"u8, .. AskUsage, .. "}"u8];
    private static readonly byte[] BothOptions = [.. "{"u8, .. AskBoth, .. "}"u8];
    private static readonly byte[] NewUsageOption = [.. "\"stream_options\":"u8, .. UsageOption, .. ","u8];
    private static readonly byte[] NewBothOptions = [.. "\"stream_options\":"u8, .. BothOptions, .. ","u8];
    private static readonly byte[] AskTokenIds = "\"return_token_ids\":true,"u8.ToArray();
    private static readonly byte[] Yes = "true"u8.ToArray();

    public static StreamAdditions Of(ForwardedCall call, Replica replica)
    {
        var (fields, kind) = (call.Peek.Options, replica.Upstream.Kind);
        if (!call.Peek.Stream || call.Operation == InferenceOperation.Embeddings)
            return default;

        // Older versions of vLLM write "usage":null into a text completion's chunks and newer ones nothing: what running usage displaces
        // could not be put back.
        var open = kind.StreamsUsage && !fields.HasOddOptions;
        var (vllm, usage) = (kind == ProviderKind.Vllm, open && !fields.WantsUsage);
        var running = open && vllm && call.Operation == InferenceOperation.Chat && !fields.WantsRunningUsage;
        return new StreamAdditions(usage, running,
            ChunkUsage: vllm ? running : usage,
            TokenIds: Resumable.Is(call, replica) && Resumable.WithIds(call) && !fields.WantsTokenIds);
    }

    /// <summary>The changes to the body that ask for it.</summary>
    public void Splice(ReadOnlySpan<byte> body, in StreamFields fields, List<BodyEdit> edits)
    {
        var first = body.IndexOf((byte)'{') + 1;
        if (TokenIds)
        {
            edits.Add(fields.TokenIds.IsPresent
                ? new BodyEdit(fields.TokenIds.Start, fields.TokenIds.End, Yes)
                : new BodyEdit(first, first, AskTokenIds));
        }

        if (!Usage && !RunningUsage)
            return;

        if (fields.OptionsType != JsonTokenType.StartObject)
        {
            var (start, end) = (fields.Options.Start, fields.Options.End);
            edits.Add(fields.Options.IsPresent
                ? new BodyEdit(start, end, RunningUsage ? BothOptions : UsageOption)
                : new BodyEdit(first, first, RunningUsage ? NewBothOptions : NewUsageOption));
            return;
        }

        var missing = (Usage && !fields.IncludeUsage.IsPresent, RunningUsage && !fields.RunningUsage.IsPresent) switch
        {
            (true, true) => AskBoth,
            (true, false) => AskUsage,
            (false, true) => AskRunning,
            _ => null,
        };
        if (missing is not null)
        {
            var inside = fields.Options.Start + 1;
            edits.Add(new BodyEdit(inside, inside, fields.HasEmptyOptions ? missing : [.. missing, (byte)',']));
        }

        Turn(Usage, fields.IncludeUsage, edits);
        Turn(RunningUsage, fields.RunningUsage, edits);
    }

    private static void Turn(bool wanted, JsonField off, List<BodyEdit> edits)
    {
        if (wanted && off.IsPresent)
            edits.Add(new BodyEdit(off.Start, off.End, Yes));
    }
}
