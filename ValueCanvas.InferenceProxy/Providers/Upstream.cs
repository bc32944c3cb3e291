using System.Collections.Frozen;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>What the replicas of one provider have in common.</summary>
internal sealed record Upstream(
    string Name, ProviderKind Kind, CredentialPool Credentials, FrozenDictionary<string, ServedModel> StaticModels)
{
    /// <summary>Built from settings; keys that were there before keep their state.</summary>
    public static Upstream From(string name, ProviderOptions settings, IEnumerable<string> targeted, Upstream? before, TimeProvider time)
    {
        var kind = ProviderKind.Of(name, settings)!;
        var credentials = settings.ApiKeys
            .Where(key => !string.IsNullOrWhiteSpace(key))
            .Distinct(StringComparer.Ordinal)
            .Select(key => before?.Credentials.All.FirstOrDefault(c => c.Secret == key) ?? new Credential(key, time))
            .ToArray();
        var models = kind.IsHosted ? settings.Models.Concat(targeted) : settings.Models;
        return new Upstream(name, kind, new CredentialPool(credentials), models
            .Distinct(StringComparer.Ordinal)
            .ToFrozenDictionary(id => id, id => new ServedModel(id, 0, name, null), StringComparer.Ordinal));
    }
}
