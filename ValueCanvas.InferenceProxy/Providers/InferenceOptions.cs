using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Autoscaling;
using ValueCanvas.InferenceProxy.Batch;
using ValueCanvas.InferenceProxy.Hedging;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Resuming;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>Configuration section <c>Inference</c>. Read again when configuration reloads, but for what says otherwise.</summary>
internal sealed class InferenceOptions
{
    public const string Section = "Inference";

    /// <summary>The alias that means <see cref="DefaultModel"/>.</summary>
    public const string DefaultAlias = "default";

    /// <summary>The model that the alias <c>default</c> means.</summary>
    public string? DefaultModel { get; set; }

    /// <summary>Further names of models: alias → model or another alias.</summary>
    public Dictionary<string, string> Aliases { get; set; } = [];

    /// <summary>The model servers, by the name of who provides them.</summary>
    public Dictionary<string, ProviderOptions> Providers { get; set; } = [];

    /// <summary>How a replica is chosen.</summary>
    public RoutingOptions Routing { get; set; } = new();

    /// <summary>How much may run and wait.</summary>
    public AdmissionOptions Admission { get; set; } = new();

    /// <summary>How many replicas are wanted for which load.</summary>
    public AutoscaleOptions Autoscale { get; set; } = new();

    /// <summary>Bounds of the batch endpoint.</summary>
    public BatchOptions Batch { get; set; } = new();

    /// <summary>Models that are several targets in order. Not bound, but read: a target may be a string.</summary>
    internal Dictionary<string, ModelOptions> Models { get; set; } = [];

    /// <summary>The secret by which Api and Worker prove themselves; unset, no caller's tenant, priority, deadline or risk is
    /// believed.</summary>
    public string? InternalKey { get; set; }

    /// <summary>The secret that opens, closes, resets and drains; unset, nobody does.</summary>
    public string? OperatorKey { get; set; }

    /// <summary>How long a key rests that its provider has refused.</summary>
    public TimeSpan CredentialRest { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Larger request bodies are refused with 413.</summary>
    public int MaxBodyBytes { get; set; } = 32 * 1024 * 1024;

    /// <summary>What the bodies above 256 KiB may take together; further ones are refused with 503.</summary>
    public long MaxBufferedBytes { get; set; } = 256 * 1024 * 1024;

    /// <summary>Until a TCP connection stands. Read at start only.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Until the status line of a streamed answer.</summary>
    public TimeSpan HeadersTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>So long the server's health looks have to fail until the first content of an answer is no longer waited for.</summary>
    public TimeSpan FrozenTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Until the first content of a streamed answer.</summary>
    public TimeSpan FirstTokenTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Between two reads of an answer.</summary>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Until the end of an answer that is not streamed.</summary>
    public TimeSpan TotalTimeout { get; set; } = TimeSpan.FromSeconds(600);

    /// <summary>Until the end of a streamed answer.</summary>
    public TimeSpan StreamTimeout { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Time limits of single models.</summary>
    public List<ModelLimitOptions> ModelLimits { get; set; } = [];

    /// <summary>After this long without content a stream's client gets a comment, and again after every such time.</summary>
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(10);

    public BreakerOptions Breaker { get; set; } = new();

    public RetryOptions Retries { get; set; } = new();

    /// <summary>Streams that break and go on elsewhere.</summary>
    public ResumeOptions Resume { get; set; } = new();

    /// <summary>When a stream is asked for a second time.</summary>
    public HedgingOptions Hedging { get; set; } = new();

    /// <summary>Between two looks at a replica's health and models. Read at start only.</summary>
    public TimeSpan ProbeInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long such a look may take.</summary>
    public TimeSpan ProbeTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Between two questions for the addresses of own servers' hosts. Read at start only.</summary>
    public TimeSpan ResolveInterval { get; set; } = TimeSpan.FromSeconds(5);
}
