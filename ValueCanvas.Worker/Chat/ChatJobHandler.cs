using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Worker.Chat;

/// <summary>
/// Asks a model and keeps its text while it comes, so that it can be watched, and so that the attempt after a lost one goes on where the
/// last checkpoint ends.
/// </summary>
internal sealed class ChatJobHandler(
    InferenceClient inference, JobCheckpoints checkpoints, JobTextWriters writers, PromptCatalog prompts) : IJobHandler
{
    public string Type => JobTypes.Chat;

    public async Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken)
    {
        if (JobArgs.Read(job, prompts) is not { } variables)
            return JobArgs.Invalid(job);
        var request = ToRequest(job, variables);

        // 1. What an earlier attempt has left.
        var earlier = await checkpoints.FindAsync(job.TenantId, job.Id, cancellationToken) is { } checkpoint
            ? JobText.Parse(checkpoint.Data) ?? JobText.None
            : JobText.None;

        // 2. Go on from there; a model server that cannot continue an answer is asked for a new one.
        ChatCompletion completion;
        string text;
        try
        {
            (completion, text) = await AskAsync(job, request, earlier, keep: earlier.Text.Length > 0, cancellationToken);
        }
        catch (InferenceException refused) when (earlier.Text.Length > 0 && refused.Kind == InferenceFailure.BadRequest)
        {
            (completion, text) = await AskAsync(job, request, earlier, keep: false, cancellationToken);
        }

        return new JobOutcome.Succeeded(JsonSerializer.Serialize(
            ChatJobResult.From(completion) with { Response = text }, ChatJobContext.Default.ChatJobResult));
    }

    private async Task<(ChatCompletion Completion, string Text)> AskAsync(
        Job job, ChatRequest request, JobText earlier, bool keep, CancellationToken cancellationToken)
    {
        if (keep)
        {
            request = request with
            {
                Call = request.Call?.Again(),
                Messages = [.. request.Messages, new("assistant", earlier.Text)],
                ContinuesLast = true,
            };
        }

        // Nothing is shown before the model has begun: a refusal to continue must not have shown what is taken back.
        await using var deltas = inference.StreamChatAsync(request, cancellationToken).GetAsyncEnumerator(cancellationToken);
        var more = await deltas.MoveNextAsync();
        await using var writer = await writers.BeginAsync(job, earlier.Begin(job.RunLease, keep), cancellationToken);
        ChatCompletion? completion = null;
        for (; more; more = await deltas.MoveNextAsync())
        {
            completion = deltas.Current.Completion;
            writer.Append(deltas.Current.Text);
        }

        return completion is not null
            ? (completion, writer.Text)
            : throw new InvalidOperationException("A stream of the inference client ended without a completion.");
    }

    private ChatRequest ToRequest(Job job, IReadOnlyDictionary<string, JsonElement> variables)
    {
        if (job.PromptKey is not { } key)
            return ChatArgs.ToRequest(variables, JobCalls.Of(job));
        var prompt = prompts.Find(key)!;
        return new ChatRequest([new("user", prompt.Render(variables))])
        {
            Call = JobCalls.Of(job) with { Prompt = (key, prompt.Version) },
        };
    }
}

/// <summary>Result of a job of type <c>chat</c>, and of each request of a batch.</summary>
internal sealed record ChatJobResult(string Response, string Model, string? Provider, string FinishReason, ChatJobUsage? Usage)
{
    public static ChatJobResult From(ChatCompletion completion) => new(
        completion.Text,
        completion.Model,
        completion.Provider,
        completion.FinishReason,
        completion.Usage is { } usage ? new(usage.InputTokens, usage.OutputTokens, usage.TotalTokens) : null);
}

internal sealed record ChatJobUsage(int InputTokens, int OutputTokens, int TotalTokens);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ChatJobResult))]
internal sealed partial class ChatJobContext : JsonSerializerContext;
