using System.Net;
using System.Net.Http.Headers;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Flights;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Caching.Records;
using ValueCanvas.Core.Caching.Tags;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching;

/// <summary>What is kept, whether it may be used, and how it is given out.</summary>
internal sealed class ResponseCache(
    ResponseCacheOptions options, MemoryLevel memory, RedisLevel redis, FlightDirectory flights,
    Invalidations invalidations, AnsweringModels models,
    CacheRecords records, CacheMetrics metrics, TimeProvider time)
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");
    private static readonly MediaTypeHeaderValue Events = new("text/event-stream", "utf-8");

    public ResponseCacheOptions Options => options;

    public FlightDirectory Flights => flights;

    public RedisLevel Redis => redis;

    /// <summary>The last known of invalidations: what is asked for from now on is not dropped by them.</summary>
    public long Epoch => invalidations.Epoch;

    public DateTimeOffset Now => time.GetUtcNow();

    /// <summary>What is in this process and may be used: a fresh answer, or else an expired one that may stand in.</summary>
    public (CachedAnswer? Fresh, CachedAnswer? Stale) Find(CacheQuestion question) => Sort(question, memory.Find(question.Key));

    /// <summary>What an answer from anywhere is good for.</summary>
    public (CachedAnswer? Fresh, CachedAnswer? Stale) Sort(CacheQuestion question, CachedAnswer? answer)
    {
        if (answer is null || answer.TenantId != question.Call.TenantId || invalidations.IsDropped(answer.TagHashes, answer.Epoch)
            || !models.IsCurrent(question.Model, question.Risk, answer.Model))
        {
            return default;
        }

        var now = time.GetUtcNow();
        if (answer.ExpiresAt > now)
            return (answer, null);
        return answer.ExpiresAt + options.MaxStale > now ? (null, answer) : default;
    }

    /// <summary>Young enough for whoever asks.</summary>
    public bool IsYoungEnough(CachedAnswer answer, CacheControl wanted) =>
        wanted.MaxAge is not { } most || time.GetUtcNow() - answer.CreatedAt <= most;

    /// <summary>An answer of another instance's, for the next time.</summary>
    public void Adopt(CachedAnswer answer) => memory.Put(answer);

    /// <summary>Makes of what a model said what can be kept or sent in another form; null where it is no answer.</summary>
    /// <param name="question">What was asked.</param>
    /// <param name="flight">How it was asked.</param>
    /// <param name="json">The whole answer.</param>
    /// <param name="provider">Who served it.</param>
    /// <param name="epoch">What was known of invalidations before it was asked.</param>
    /// <param name="isFinished">Whether it came to its own end.</param>
    public CachedAnswer? Make(CacheQuestion question, Flight flight, byte[]? json, string? provider, long epoch, out bool isFinished)
    {
        isFinished = false;
        if (json is null || !AnswerReading.TryRead(json, question.Kind, out var reading))
            return null;
        isFinished = reading.IsFinished;
        var model = CacheQuestion.Shorten(reading.Model);
        var tags = CacheTag.Of(question.Call, flight.Tags, question.Model, model);
        var now = time.GetUtcNow();
        return new CachedAnswer
        {
            Id = Guid.CreateVersion7(now),
            TenantId = question.Call.TenantId,
            Key = question.Key,
            Kind = question.Kind,
            AskedModel = question.Model,
            Model = model,
            Provider = provider,
            PromptKey = question.Call.Prompt?.Key,
            PromptVersion = question.Call.Prompt?.Version,
            Tags = tags,
            TagHashes = CacheTag.Hash(question.Call.TenantId, tags),
            Epoch = epoch,
            CreatedAt = now,
            ExpiresAt = now + options.Ttl * (1 + options.TtlSpread * (2 * Random.Shared.NextDouble() - 1)),
            Usage = reading.Usage,
            Json = json,
            IdPlace = reading.Id,
            PaidBy = flight.Outcome,
        };
    }

    /// <summary>Who answers now under the name: answers of others are not used any more.</summary>
    public void Note(CacheQuestion question, CachedAnswer answer) => models.Note(question.Model, question.Risk, answer.Model);

    public void Keep(CachedAnswer answer)
    {
        memory.Put(answer);
        records.Stored(answer);
    }

    /// <summary>The answer of a call of a model, as this request wants it, from what is kept.</summary>
    public HttpResponseMessage ToResponse(CacheQuestion question, CachedAnswer answer, CacheStatus status, string level)
    {
        var age = time.GetUtcNow() - answer.CreatedAt;
        age = age > TimeSpan.Zero ? age : TimeSpan.Zero;
        question.Call.Outcome = new()
        {
            Cache = status,
            Age = age,
            Usage = answer.Usage,
            UsageSource = UsageSource.Reported,
            Model = answer.Model,
            Provider = answer.Provider,
            Cost = 0,
            IsComplete = true,
        };
        records.Used(answer, status);
        metrics.Request(status, level);
        var response = ToResponse(question, answer);
        response.Headers.Age = age;
        Mark(response, status);
        return response;
    }

    /// <summary>The answer in the form that is asked for.</summary>
    public static HttpResponseMessage ToResponse(CacheQuestion question, CachedAnswer answer)
    {
        var body = question.Mode.IsStream
            ? Replay.Stream(answer.Json, answer.Kind, question.Mode.WantsUsage)
            : Replay.Whole(answer.Json, answer.Kind, answer.IdPlace);
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = question.Mode.IsStream ? Events : Json;
        // Said, so that the answer is whole with its last byte, and not when all that follows it has been done.
        content.Headers.ContentLength = question.Mode.IsStream ? null : body.Length;
        var response = new HttpResponseMessage(HttpStatusCode.OK) { Content = content };
        if (answer.Provider is { } provider)
            response.Headers.TryAddWithoutValidation(InferenceClient.ProviderHeader, provider);
        return response;
    }

    /// <summary>Of a call that a model was asked for, by this request or by another that it joined.</summary>
    public void Count(CacheQuestion question, HttpResponseMessage response)
    {
        var status = question.Call.Outcome.Cache;
        Mark(response, status);
        records.Count(question.Call.TenantId, question.Model, question.Call.Prompt?.Key, status, saved: null);
        metrics.Request(status, "model");
    }

    public static void Mark(HttpResponseMessage response, CacheStatus status)
    {
        response.Headers.Remove(CacheHeaders.Status);
        response.Headers.TryAddWithoutValidation(CacheHeaders.Status, CacheHeaders.Text(status));
    }

    public void Answered(string fate) => metrics.Answer(fate);
}
