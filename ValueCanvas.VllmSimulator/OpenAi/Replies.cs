using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Generation;

namespace ValueCanvas.VllmSimulator.OpenAi;

internal static class Replies
{
    public static Reply Create(string prefix, GenerationRequest request, SimulatorOptions options, TimeProvider time, int[][] prompts,
        Completion[] completions, Sampling sampling)
    {
        var salt = BlockHash.OfSalt(request.CacheSalt);
        var sequences = new Sequence[completions.Length];
        for (var i = 0; i < sequences.Length; i++)
        {
            sequences[i] = new Sequence(prompts[i / sampling.Choices], completions[i].Tokens, completions[i].Finish, request.Priority ?? 0,
                salt);
        }

        var id = prefix + (request.RequestId is { Length: > 0 and <= 128 } given ? given : Guid.NewGuid().ToString("N"));
        return new Reply(id, time.GetUtcNow().ToUnixTimeSeconds(), request.Model is { Length: > 0 } model ? model
            : options.Model, prompts, completions, sequences, sampling)
        {
            ReturnTokenIds = request.ReturnTokenIds == true,
            TellsCachedTokens = options.EnablePromptTokensDetails,
        };
    }
}
