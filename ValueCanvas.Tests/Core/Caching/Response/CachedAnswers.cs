using System.Text;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Tests.Core.Caching.Response;

internal static class CachedAnswers
{
    public static CachedAnswer Make(Guid tenant, CacheKey key, string json, long epoch = 3) => new()
    {
        Id = Guid.NewGuid(),
        TenantId = tenant,
        Key = key,
        Kind = AnswerKind.Chat,
        AskedModel = "m",
        Model = "m-2026",
        Provider = "vllm",
        PromptKey = "p",
        PromptVersion = "1",
        Tags = ["*", "model:m", "own"],
        TagHashes = CacheTag.Hash(tenant, ["*", "model:m", "own"]),
        Epoch = epoch,
        CreatedAt = DateTimeOffset.UnixEpoch.AddDays(1),
        ExpiresAt = DateTimeOffset.UnixEpoch.AddDays(2),
        Usage = new TokenUsage(1, 2, 3, 4),
        Json = Encoding.UTF8.GetBytes(json),
        IdPlace = (7, 10),
    };
}
