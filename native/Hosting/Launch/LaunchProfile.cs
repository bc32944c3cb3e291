using System.Text.Json;
using System.Text.Json.Serialization;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Launch;

/// <summary>One profile of a project's Properties/launchSettings.json.</summary>
internal sealed class LaunchProfile
{
    [JsonPropertyName("commandName")]
    public string? CommandName { get; init; }

    /// <summary>Where the project listens when it is started by hand, separated by semicolons.</summary>
    [JsonPropertyName("applicationUrl")]
    public string? ApplicationUrl { get; init; }

    [JsonPropertyName("commandLineArgs")]
    public string? CommandLineArgs { get; init; }

    [JsonPropertyName("environmentVariables")]
    public IReadOnlyDictionary<string, string> EnvironmentVariables { get; init; } = new Dictionary<string, string>();

    /// <summary>The named profile, or the first that starts the project; none when the project has no launch settings.</summary>
    public static (string Name, LaunchProfile Profile)? Read(string projectPath, string? name)
    {
        var path = Path.Combine(Path.GetDirectoryName(projectPath)!, "Properties", "launchSettings.json");
        if (!File.Exists(path))
            return name is null ? null : throw Missing();

        LaunchSettings settings;
        try
        {
            settings = JsonSerializer.Deserialize(File.ReadAllText(path), LaunchSettingsJson.Default.LaunchSettings) ?? new();
        }
        catch (JsonException e)
        {
            throw new DistributedApplicationException($"{path} is not valid: {e.Message}", e);
        }

        if (name is not null)
            return settings.Profiles.TryGetValue(name, out var named) ? (name, named) : throw Missing();

        foreach (var (key, profile) in settings.Profiles)
        {
            if (profile.CommandName == "Project")
                return (key, profile);
        }

        return null;

        DistributedApplicationException Missing() => new($"{path} has no launch profile '{name}'.");
    }
}

internal sealed class LaunchSettings
{
    [JsonPropertyName("profiles")]
    public IReadOnlyDictionary<string, LaunchProfile> Profiles { get; init; } = new Dictionary<string, LaunchProfile>();
}

[JsonSourceGenerationOptions(ReadCommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true)]
[JsonSerializable(typeof(LaunchSettings))]
internal sealed partial class LaunchSettingsJson : JsonSerializerContext;

/// <summary>The profile that a project resource runs with.</summary>
internal sealed class EffectiveLaunchProfileAnnotation(string name, LaunchProfile profile) : IResourceAnnotation
{
    public string Name => name;

    public LaunchProfile Profile => profile;
}
