namespace ValueCanvas.Api.Errors;

/// <summary>How failures are told at a path: each API that is spoken here has a shape of its own, which its clients read.</summary>
internal abstract class ErrorDialect
{
    private static readonly ErrorDialect Problems = new ProblemDialect();
    private static readonly ErrorDialect OpenAis = new OpenAiDialect();
    private static readonly ErrorDialect Anthropics = new AnthropicDialect();

    /// <summary>What stands before the body in an event of a stream.</summary>
    public abstract ReadOnlyMemory<byte> EventPrefix { get; }

    protected abstract string MediaType { get; }

    public static ErrorDialect Of(PathString path) =>
        path.StartsWithSegments("/v1/messages", StringComparison.OrdinalIgnoreCase) ? Anthropics
        : path.StartsWithSegments("/v1", StringComparison.OrdinalIgnoreCase) ? OpenAis
        : Problems;

    public virtual int StatusOf(Failure failure) => failure.Status;

    /// <summary>The head of an answer that is nothing but the failure.</summary>
    public virtual void Mark(HttpContext context) => context.Response.ContentType = MediaType;

    public abstract byte[] Body(Failure failure, HttpContext context);

    private sealed class ProblemDialect : ErrorDialect
    {
        public override ReadOnlyMemory<byte> EventPrefix { get; } = "event: error\ndata: "u8.ToArray();

        protected override string MediaType => ErrorBodies.ProblemMediaType;

        public override byte[] Body(Failure failure, HttpContext context) => ErrorBodies.Problem(failure, context);
    }

    private sealed class OpenAiDialect : ErrorDialect
    {
        public override ReadOnlyMemory<byte> EventPrefix { get; } = "data: "u8.ToArray();

        protected override string MediaType => "application/json";

        public override byte[] Body(Failure failure, HttpContext context) => ErrorBodies.OpenAi(failure);
    }

    private sealed class AnthropicDialect : ErrorDialect
    {
        // What Anthropic's clients know where others have 503.
        private const int Overloaded = 529;

        public override ReadOnlyMemory<byte> EventPrefix { get; } = "event: error\ndata: "u8.ToArray();

        protected override string MediaType => "application/json";

        public override int StatusOf(Failure failure) =>
            failure.Status == StatusCodes.Status503ServiceUnavailable ? Overloaded : failure.Status;

        public override void Mark(HttpContext context)
        {
            base.Mark(context);
            context.Response.Headers["request-id"] = ErrorBodies.AnthropicRequestId(context);
        }

        public override byte[] Body(Failure failure, HttpContext context) => ErrorBodies.Anthropic(failure, context);
    }
}
