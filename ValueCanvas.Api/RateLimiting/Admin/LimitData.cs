using System.Text.Json.Serialization;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.RateLimiting.Admin;

/// <summary>A policy and where it comes from: <c>configuration</c>, or <c>live</c>, which hides one of the same name.</summary>
internal sealed record LimitData(string Name, string Source, PolicyOptions Policy);

internal sealed record LimitList(IReadOnlyList<LimitData> Policies, IReadOnlyList<LimitSubjectData> Subjects);

/// <summary>What an operator has said of a subject.</summary>
internal sealed record LimitSubjectData(string Subject, string? Action, DateTimeOffset? Until, int Resets);

/// <summary>Body of <c>POST /api/admin/limits/subjects</c>; in a body, for an address in a path ends up in logs.</summary>
internal sealed record LimitSubjectBody(string? Subject, string? Action, DateTimeOffset? Until) : IRequestBody
{
    public static readonly string[] Actions = ["ban", "allow", "none", "reset"];

    public void Validate(RequestErrors errors)
    {
        if (string.IsNullOrEmpty(Subject))
            errors.Add("subject", $"is required: {Subjects.SubjectNames.Forms}");
        if (Action is null || !Actions.Contains(Action))
            errors.Add("action", $"must be one of: {string.Join(", ", Actions)}");
        if (Until is not null && Action is not ("ban" or "allow"))
            errors.Add("until", "is for ban and allow alone");
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PolicyOptions))]
[JsonSerializable(typeof(LimitSubjectBody))]
[JsonSerializable(typeof(Envelope<LimitData>))]
[JsonSerializable(typeof(Envelope<LimitList>))]
[JsonSerializable(typeof(Envelope<LimitSubjectData>))]
internal sealed partial class LimitContext : JsonSerializerContext;
