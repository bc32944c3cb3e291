using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using HandlebarsDotNet;

namespace ValueCanvas.Core.Prompts;

/// <summary>
/// The prompts that the platform brings: for each key a template <c>BuiltIn/KEY.hbs</c> (Handlebars) and its metadata
/// <c>BuiltIn/KEY.json</c>, embedded. All of them are compiled when the catalog is made, so that a bad one stops the start.
/// </summary>
public sealed class PromptCatalog
{
    private const string ResourcePrefix = "ValueCanvas.Prompts.";

    private readonly Dictionary<string, Prompt> _prompts;

    public PromptCatalog()
    {
        // Prompts are text for a model, not for a browser.
        var handlebars = Handlebars.Create(new HandlebarsConfiguration { NoEscape = true });
        var assembly = typeof(PromptCatalog).Assembly;
        _prompts = assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(ResourcePrefix, StringComparison.Ordinal) && name.EndsWith(".hbs", StringComparison.Ordinal))
            .Select(name => Load(handlebars, assembly, name[ResourcePrefix.Length..^".hbs".Length]))
            .ToDictionary(prompt => prompt.Key, StringComparer.Ordinal);
    }

    /// <summary>Every prompt, by key.</summary>
    public IEnumerable<Prompt> All => _prompts.Values.OrderBy(prompt => prompt.Key, StringComparer.Ordinal);

    /// <summary>The prompt of that key, or null where there is none.</summary>
    public Prompt? Find(string key) => _prompts.GetValueOrDefault(key);

    private static Prompt Load(IHandlebars handlebars, Assembly assembly, string key)
    {
        var template = Read(assembly, $"{ResourcePrefix}{key}.hbs");
        var metadata = Read(assembly, $"{ResourcePrefix}{key}.json");
        var details = JsonSerializer.Deserialize(metadata, PromptContext.Default.PromptMetadata)
            ?? throw new InvalidOperationException($"The metadata of prompt {key} is empty.");
        byte[] content = [.. template, 0, .. metadata];
        return new Prompt(
            key,
            Convert.ToHexStringLower(SHA256.HashData(content))[..12],
            details.Description,
            details.Variables,
            handlebars.Compile(System.Text.Encoding.UTF8.GetString(template)));
    }

    private static byte[] Read(Assembly assembly, string resource)
    {
        using var stream = assembly.GetManifestResourceStream(resource)
            ?? throw new InvalidOperationException($"{resource} is missing among the embedded prompts.");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}

[SuppressMessage("Performance", "CA1812", Justification = "Made by the deserializer.")]
internal sealed record PromptMetadata(string Description, Dictionary<string, PromptVariable> Variables);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    RespectNullableAnnotations = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(PromptMetadata))]
internal sealed partial class PromptContext : JsonSerializerContext;
