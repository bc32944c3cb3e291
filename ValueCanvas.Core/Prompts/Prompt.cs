using System.Text.Json;
using HandlebarsDotNet;

namespace ValueCanvas.Core.Prompts;

/// <summary>A template with typed variables, in one version.</summary>
public sealed class Prompt
{
    private readonly HandlebarsTemplate<object, object> _template;

    internal Prompt(
        string key, string version, string description, IReadOnlyDictionary<string, PromptVariable> variables,
        HandlebarsTemplate<object, object> template)
    {
        Key = key;
        Version = version;
        Description = description;
        Variables = variables;
        _template = template;
    }

    /// <summary>Such as <c>canvas.generate</c>.</summary>
    public string Key { get; }

    /// <summary>The first 12 hexadecimal digits of the SHA-256 over template and metadata: another text is another version.</summary>
    public string Version { get; }

    public string Description { get; }

    public IReadOnlyDictionary<string, PromptVariable> Variables { get; }

    /// <summary>What is wrong with the variables, by variable name; empty where they can be rendered.</summary>
    public IReadOnlyDictionary<string, string[]> Validate(IReadOnlyDictionary<string, JsonElement> variables)
    {
        var errors = new SortedDictionary<string, string[]>(StringComparer.Ordinal);
        foreach (var (name, variable) in Variables)
        {
            if (variable.Problem(variables.TryGetValue(name, out var value) ? value : null) is { } problem)
                errors[name] = [problem];
        }

        foreach (var name in variables.Keys.Where(name => !Variables.ContainsKey(name)))
        {
            errors[name] = [Variables.Count == 0
                ? $"is not a variable of {Key}, which takes none"
                : $"is not a variable of {Key}; it takes {string.Join(", ", Variables.Keys)}"];
        }

        return errors;
    }

    /// <summary>The prompt's text, values put in as they are (no HTML escaping) and never read as a template themselves.</summary>
    /// <exception cref="ArgumentException">The variables do not pass <see cref="Validate"/>.</exception>
    public string Render(IReadOnlyDictionary<string, JsonElement> variables)
    {
        if (Validate(variables).FirstOrDefault() is { Key: { } name, Value: { } problems })
            throw new ArgumentException($"Prompt {Key}: variable {name} {problems[0]}.", nameof(variables));
        return Render(Variables.Keys.ToDictionary(key => key, key => variables.TryGetValue(key, out var value) ? value.GetString() : null));
    }

    private string Render(Dictionary<string, string?> values) => _template(values).Trim();
}
