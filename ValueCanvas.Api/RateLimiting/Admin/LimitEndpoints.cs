using Microsoft.AspNetCore.Http.HttpResults;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Subjects;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.RateLimiting.Admin;

internal static class LimitEndpoints
{
    public static RouteGroupBuilder MapLimitEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Limits").WithMetadata(BodyLimit.Api).RequireOperator();
        group.MapGet("", List)
            .WithSummary("Every rate limit, and the subjects that are banned, allowed or were reset")
            .Produces<Envelope<LimitList>>();
        group.MapGet("/{name}", Get)
            .WithSummary("One rate limit")
            .Produces<Envelope<LimitData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPut("/{name}", PutAsync)
            .WithSummary("Set a rate limit; every instance follows within a second")
            .Produces<Envelope<LimitData>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapDelete("/{name}", DeleteAsync)
            .WithSummary("Remove a rate limit that was set live; a configured one of its name applies again")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPost("/subjects", SetSubjectAsync)
            .WithSummary("Ban or allow a subject, end that, or let its counts begin anew")
            .Produces<Envelope<LimitSubjectData>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        return group;
    }

    private static Ok<Envelope<LimitList>> List(PolicyCatalog catalog)
    {
        var current = catalog.Current;
        return TypedResults.Ok(Envelope.Of(new LimitList(
            [.. current.Entries.Select(entry => ToData(entry.Key, entry.Value))],
            [.. current.Subjects.Values.OrderBy(rule => rule.Subject, StringComparer.Ordinal).Select(ToData)])));
    }

    private static Ok<Envelope<LimitData>> Get(string name, PolicyCatalog catalog) =>
        TypedResults.Ok(Envelope.Of(ToData(name, catalog.Current.Entries.GetValueOrDefault(name) ?? throw Unknown())));

    private static async Task<IResult> PutAsync(
        string name,
        JsonBody<PolicyOptions> body,
        SubjectNames subjects,
        LivePolicyStore store,
        LivePolicyFollower follower,
        CancellationToken cancellationToken)
    {
        var errors = new RequestErrors();
        PolicyReader.Read(name, body.Value, subjects, errors.Add);
        if (errors.Any)
            throw RequestException.Invalid(errors.ToDictionary());
        foreach (var item in body.Value.Overrides ?? [])
            item.Subject = subjects.Read(item.Subject)!;
        await store.PutAsync(name, body.Value, cancellationToken);
        await follower.LookAsync(cancellationToken);
        return TypedResults.Ok(Envelope.Of(new LimitData(name, "live", body.Value)));
    }

    private static async Task<IResult> DeleteAsync(
        string name, LivePolicyStore store, LivePolicyFollower follower, CancellationToken cancellationToken)
    {
        if (!await store.DeleteAsync(name, cancellationToken))
            throw Unknown();
        await follower.LookAsync(cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<IResult> SetSubjectAsync(
        JsonBody<LimitSubjectBody> body,
        SubjectNames subjects,
        LivePolicyStore store,
        LivePolicyFollower follower,
        PolicyCatalog catalog,
        CancellationToken cancellationToken)
    {
        var subject = subjects.Read(body.Value.Subject!)
            ?? throw RequestException.Invalid("subject", $"must be one of: {SubjectNames.Forms}");
        if (body.Value.Action == "reset")
            await store.ResetAsync(subject, cancellationToken);
        else
        {
            await store.SetAsync(
                subject,
                body.Value.Action switch { "ban" => SubjectAction.Ban, "allow" => SubjectAction.Allow, _ => null },
                body.Value.Until,
                cancellationToken);
        }

        await follower.LookAsync(cancellationToken);
        return TypedResults.Ok(Envelope.Of(ToData(catalog.Current.Subjects.GetValueOrDefault(subject) ?? new(subject, null, null, 0))));
    }

    private static LimitData ToData(string name, PolicyEntry entry) => new(name, entry.IsLive ? "live" : "configuration", entry.Options);

    private static LimitSubjectData ToData(SubjectRule rule)
    {
        var action = rule.Action switch { SubjectAction.Ban => "ban", SubjectAction.Allow => "allow", _ => null };
        return new(rule.Subject, action, rule.Until, rule.Resets);
    }

    private static RequestException Unknown() => RequestException.NotFound(
        "There is no such rate limit. GET /api/admin/limits lists those that there are; DELETE removes live ones.");
}
