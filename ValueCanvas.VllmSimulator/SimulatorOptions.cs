using System.ComponentModel.DataAnnotations;

namespace ValueCanvas.VllmSimulator;

/// <summary>
/// Section <c>Simulator</c>. The rates are those of meta-llama/Llama-3.1-8B-Instruct (BF16) on one H100 80 GB under vLLM 0.8.4, as
/// fitted and published by the BLIS simulator (github.com/inference-sim/inference-sim, defaults.yaml: model
/// meta-llama/llama-3.1-8b-instruct, GPU H100, tensor_parallelism 1). Routing results depend on them: they are fixed. docs/simulator.md
/// has the derivation and how it compares with independent measurements.
/// </summary>
internal sealed class SimulatorOptions : IValidatableObject
{
    public const string Section = "Simulator";

    /// <summary>The model name that /v1/models lists and requests must ask for.</summary>
    [Required]
    public string Model { get; set; } = "meta-llama/Llama-3.1-8B-Instruct";

    /// <summary>Further names for the same model (vLLM's --served-model-name).</summary>
    public string[] ServedModelNames { get; set; } = [];

    /// <summary>Whether usage says how much of a prompt was cached (--enable-prompt-tokens-details), where anything was.</summary>
    public bool EnablePromptTokensDetails { get; set; } = true;

    /// <summary>Sequences that run at once (--max-num-seqs). vLLM 0.8.4's default, with which the profile was taken.</summary>
    [Range(1, 65_536)]
    public int MaxNumSeqs { get; set; } = 256;

    /// <summary>Tokens that one step computes at most (--max-num-batched-tokens): the chunk of a chunked prefill.</summary>
    [Range(1, 1_048_576)]
    public int MaxNumBatchedTokens { get; set; } = 2048;

    /// <summary>KV-cache blocks (BLIS: total_kv_blocks), about 467,000 tokens of BF16 cache in what 80 GB leave.</summary>
    [Range(1, 10_000_000)]
    public int KvBlocks { get; set; } = 29_205;

    /// <summary>Tokens in a KV-cache block; vLLM's default.</summary>
    [Range(1, 1024)]
    public int BlockSize { get; set; } = 16;

    /// <summary>Prompt and completion together (--max-model-len); the model's own 128 K.</summary>
    [Range(16, 10_000_000)]
    public int MaxModelLen { get; set; } = 131_072;

    /// <summary>Prefill rate in tokens a second beyond a step's base cost (BLIS beta 1: 17.25 µs a token).</summary>
    [Range(1, 1e9)]
    public double PrefillTokensPerSecond { get; set; } = 57_968;

    /// <summary>Cost of any step in milliseconds: reading the weights and launching the kernels (BLIS beta 0).</summary>
    [Range(0.001, 60_000)]
    public double StepBaseMilliseconds { get; set; } = 5.753;

    /// <summary>What one more decoding sequence adds to a step, in milliseconds (BLIS beta 2).</summary>
    [Range(0, 60_000)]
    public double DecodeMillisecondsPerSequence { get; set; } = 0.006;

    /// <summary>The API server's part of a request in milliseconds, outside the engine (BLIS alpha 0 and alpha 2).</summary>
    [Range(0, 60_000)]
    public double RequestOverheadMilliseconds { get; set; } = 3.590;

    /// <summary>The API server's part per prompt token in microseconds: tokenisation (BLIS alpha 1).</summary>
    [Range(0, 60_000)]
    public double RequestOverheadMicrosecondsPerToken { get; set; } = 1.752;

    /// <summary>Answers at once: no queue, no pace; token, cache and request counters still count. For benchmarks of what stands in
    /// front.</summary>
    public bool ZeroDelay { get; set; }

    /// <summary><c>fcfs</c>, or <c>priority</c> to honour a request's <c>priority</c> (lower first).</summary>
    [RegularExpression("^(fcfs|priority)$", ErrorMessage = "Simulator:SchedulingPolicy must be \"fcfs\" or \"priority\".")]
    public string SchedulingPolicy { get; set; } = "fcfs";

    /// <summary>Length of an embedding vector.</summary>
    [Range(8, 16_384)]
    public int EmbeddingDimension { get; set; } = 1024;

    public bool HonoursPriority => SchedulingPolicy == "priority";

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if ((long)KvBlocks * BlockSize < MaxModelLen)
        {
            yield return new ValidationResult(
                $"Simulator:MaxModelLen ({MaxModelLen}) is more than the KV cache holds (Simulator:KvBlocks × Simulator:BlockSize = "
                + $"{(long)KvBlocks * BlockSize} tokens). Lower MaxModelLen or raise KvBlocks.", [nameof(MaxModelLen), nameof(KvBlocks)]);
        }
    }

    public bool Serves(string? model) => model is null || model.Length == 0 || model == Model
        || Array.IndexOf(ServedModelNames, model) >= 0;
}
