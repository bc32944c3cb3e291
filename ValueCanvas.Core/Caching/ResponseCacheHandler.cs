using System.Runtime.ExceptionServices;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Flights;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching;

/// <summary>
/// Answers calls of models from what is kept, and lets those that ask the same at the same time share one call:
/// <code>
/// request ── (1) may it be kept? ── (2) first level ── (3) flight ──┬── second level
///                 │ no                   │ hit              ▲       ├── another instance's flight
///                 ▼                      ▼                  │       └── the model ──► kept, where whole
///               model                 replay             others
/// </code>
/// </summary>
internal sealed class ResponseCacheHandler(ResponseCache cache, FlightPilot pilot) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // 1. What is not asked on anybody's behalf, or cannot be kept, passes as it is.
        var call = InferenceCall.Of(request);
        request.Headers.Remove(CacheHeaders.Tags);
        if (call is null || AnswerKinds.Of(request) is not { } kind)
            return await base.SendAsync(request, cancellationToken);
        if (!cache.Options.Enabled || call.Cache.Use == CacheUse.Never)
            return await PassAsync(request, cancellationToken);
        using var body = await RequestBody.ReadAsync(request.Content!, cache.Options.MaxRequestBytes, cancellationToken);
        if (body is null)
            return await PassAsync(request, cancellationToken);
        if (Read(request, call, kind, body) is not { } question)
        {
            request.Content = body.ToContent();
            return await PassAsync(request, cancellationToken);
        }

        // 2. What is in this process.
        var wanted = call.Cache;
        var (fresh, stale) = wanted.Refresh ? default : cache.Find(question);
        if (fresh is not null && cache.IsYoungEnough(fresh, wanted))
            return Sent(request, cache.ToResponse(question, fresh, CacheStatus.Hit, "memory"));

        // 3. Nothing of it may be kept, not even for those who ask at the same time.
        if (wanted.NoStore)
        {
            request.Content = body.ToContent();
            call.Outcome.Cache = CacheStatus.Miss;
            var direct = await base.SendAsync(request, cancellationToken);
            cache.Count(question, direct);
            return direct;
        }

        // 4. A call of the model, shared.
        var isNewer = wanted.Refresh || fresh is not null;
        return Sent(request, await FlyAsync(request, question, body, stale, isNewer, cancellationToken));
    }

    private async Task<HttpResponseMessage> FlyAsync(
        HttpRequestMessage request, CacheQuestion question, RequestBody body,
        CachedAnswer? stale, bool isNewer, CancellationToken cancellationToken)
    {
        var (seat, isNew) = isNewer
            ? (cache.Flights.Alone(question.Key, question.Call, question.Mode), true)
            : cache.Flights.Join(question.Key, question.Call, question.Mode);
        if (isNew)
        {
            // It lives as long as it has readers, of whom this request is one: it is nobody's to wait for.
            var upstream = new UpstreamCall(request, body, question.Call, base.SendAsync);
            _ = pilot.RunAsync(seat.Flight, question, upstream, isNewer);
        }

        try
        {
            // 1. What it begins with.
            var first = await seat.NextAsync(cancellationToken);
            if (first.Stored is { } stored)
            {
                // Kept elsewhere, and too old for this one?
                if (!cache.IsYoungEnough(stored, question.Call.Cache))
                {
                    seat.Finish();
                    return await FlyAsync(request, question, body, stale: null, isNewer: true, cancellationToken);
                }

                var replayed = cache.ToResponse(question, stored, CacheStatus.Hit, "redis");
                seat.Finish();
                return replayed;
            }

            // 2. Nobody can answer: an answer that has expired is better than none.
            stale ??= seat.Flight.Stale;
            if (stale is not null && !isNewer && question.Call.Cache.MaxAge is null && IsOutage(first))
            {
                seat.Leave();
                return cache.ToResponse(question, stale, CacheStatus.Stale, "memory");
            }

            if (first.Failure is { } failure)
                ExceptionDispatchInfo.Throw(failure);

            // 3. Along with it, byte for byte; or, where this one asked for another form, when it is whole.
            var head = first.Head ?? throw new InvalidOperationException("A flight began without a head.");
            if (!head.IsOk || seat.Flight.Mode == question.Mode)
            {
                var response = head.ToResponse(new SeatStream(seat));
                cache.Count(question, response);
                return response;
            }

            return await OtherwiseAsync(request, question, body, seat, head, cancellationToken);
        }
        catch
        {
            seat.Leave();
            throw;
        }
    }

    private async Task<HttpResponseMessage> OtherwiseAsync(
        HttpRequestMessage request, CacheQuestion question, RequestBody body,
        Seat seat, FlightHead head, CancellationToken cancellationToken)
    {
        FlightPart part;
        do
        {
            part = await seat.NextAsync(cancellationToken);
        }
        while (!part.IsEnd);
        if (part.Failure is null && seat.Flight.Answer is { } answer)
        {
            seat.Finish();
            var response = ResponseCache.ToResponse(question, answer);
            foreach (var (name, value) in head.Headers)
            {
                if (!response.Headers.Contains(name))
                    response.Headers.TryAddWithoutValidation(name, value);
            }

            cache.Count(question, response);
            return response;
        }

        // It came to nothing that could be told in another form: this one asks for itself.
        seat.Leave();
        question.Call.Outcome = new() { Cache = CacheStatus.Miss };
        request.Content = body.ToContent();
        var direct = await base.SendAsync(request, cancellationToken);
        cache.Count(question, direct);
        return direct;
    }

    private CacheQuestion? Read(HttpRequestMessage request, InferenceCall call, AnswerKind kind, RequestBody body)
    {
        if (!body.IsWhole || !RequestPeek.TryRead(body.Bytes, out var peek) || (kind == AnswerKind.Embeddings && peek.IsStream))
            return null;
        return call.Cache.Use == CacheUse.Always || (call.Cache.Use == CacheUse.WhenDeterministic && peek.IsDeterministic)
            ? CacheQuestion.Of(request, call, kind, peek, body.Bytes, cache.Options)
            : null;
    }

    private async Task<HttpResponseMessage> PassAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        ResponseCache.Mark(response, CacheStatus.Bypass);
        return response;
    }

    private static bool IsOutage(FlightPart first) =>
        first.Failure is HttpRequestException or IOException or OperationCanceledException || first.Head?.Status >= 500;

    private static HttpResponseMessage Sent(HttpRequestMessage request, HttpResponseMessage response)
    {
        response.RequestMessage = request;
        return response;
    }
}
