using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>Which streams could go on at another replica, were they to break.</summary>
internal static class Resumable
{
    // A token is a byte at least, and its id at most seven with the comma: the event that brings the
    // prompt's ids must not be too large to be read.
    private const int BytesPerId = 8;

    public static bool Is(ForwardedCall call, Replica replica) =>
        call.Peek.Stream && !call.Peek.Options.IsUnusual && call.Operation != InferenceOperation.Embeddings
        && call.Topology.Options.Resume is { Enabled: true } options && call.Peek.Fields.PromptBytes <= options.MaxBytes
        && IsAble(replica) && call.Turn.Replicas.Count(IsAble) > 1;

    /// <summary>The prompt is small enough to be repeated as token ids.</summary>
    public static bool WithIds(ForwardedCall call) => call.Peek.Fields.PromptBytes <= call.Topology.Options.Resume.MaxBytes / BytesPerId;

    /// <summary>Only vLLM goes on with an answer that has begun.</summary>
    public static bool IsAble(Replica replica) => replica.Upstream.Kind == ProviderKind.Vllm;
}
