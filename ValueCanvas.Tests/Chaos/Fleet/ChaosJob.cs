using Microsoft.AspNetCore.Http;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Chaos.Fleet;

/// <summary>
/// Jobs whose right result is known: a model that is asked for the rest of an answer gives just that, so a text with a gap, or with
/// something twice, shows.
/// </summary>
internal static class ChaosJob
{
    private const string Words = " alpha beta gamma delta epsilon";

    public static string Body(string key) => $$$"""{"type":"chat","promptVariables":{"prompt":"{{{key}}}"}}""";

    /// <summary>Of results that are not what they must be, one; in SQL.</summary>
    public const string WrongResult =
        $"""
         SELECT j.id::text || ': ' || coalesce(r.result->>'response', 'nothing')
         FROM llm_jobs j LEFT JOIN llm_job_results r ON r.job_id = j.id
         WHERE j.state = 'succeeded' AND r.result->>'response' IS DISTINCT FROM (j.args->>'prompt') || '{Words}'
         LIMIT 1
         """;

    public static async Task AnswerAsync(HttpContext context, TimeSpan pace)
    {
        var messages = FakeInference.BodyOf(context).GetProperty("messages");
        var text = messages[0].GetProperty("content").GetString() + Words;
        var last = messages[messages.GetArrayLength() - 1];
        var said = last.GetProperty("role").GetString() == "assistant" ? last.GetProperty("content").GetString()! : "";
        if (!text.StartsWith(said, StringComparison.Ordinal))
        {
            await FakeInference.Error(context, 400, "That is not how it began.");
            return;
        }

        foreach (var word in text[said.Length..].Split(' ').Select((word, i) => i == 0 ? word : $" {word}"))
        {
            await FakeInference.Event(context, FakeInference.Chunk(word));
            await Task.Delay(pace, TimeProvider.System, context.RequestAborted);
        }

        await FakeInference.Stream(context);
    }
}
