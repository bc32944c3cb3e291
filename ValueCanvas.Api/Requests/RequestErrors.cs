namespace ValueCanvas.Api.Requests;

/// <summary>What is wrong with a request, by field as the caller wrote it (<c>messages[1].role</c>); each says what to change.</summary>
internal sealed class RequestErrors
{
    private readonly SortedDictionary<string, List<string>> _problems = new(StringComparer.Ordinal);

    public bool Any => _problems.Count > 0;

    public void Add(string field, string problem)
    {
        if (!_problems.TryGetValue(field, out var list))
            _problems[field] = list = [];
        list.Add(problem);
    }

    public IReadOnlyDictionary<string, string[]> ToDictionary() => _problems.ToDictionary(pair => pair.Key, pair => pair.Value.ToArray());
}

/// <summary>A body that knows its rules by itself; <see cref="JsonBody{T}"/> applies them before an endpoint sees it.</summary>
internal interface IRequestBody
{
    void Validate(RequestErrors errors);
}
