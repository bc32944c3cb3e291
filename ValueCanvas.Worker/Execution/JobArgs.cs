using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Worker.Execution;

/// <summary>
/// Reads what a job was submitted with. It was validated then; the rules may have changed since, and a row may have been written by hand.
/// </summary>
internal static class JobArgs
{
    /// <summary>Null where the job cannot be run.</summary>
    public static IReadOnlyDictionary<string, JsonElement>? Read(Job job, PromptCatalog prompts)
    {
        try
        {
            var variables = JsonSerializer.Deserialize(job.Args, JobArgsContext.Default.DictionaryStringJsonElement);
            return variables is null || JobInput.Validate(job.Type, job.PromptKey, variables, prompts).Any() ? null : variables;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static JobOutcome Invalid(Job job) =>
        new JobOutcome.Rejected(new JobError("invalid_arguments", $"The job's variables are not what {job.Type} takes."));
}

[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
internal sealed partial class JobArgsContext : JsonSerializerContext;
