using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching;

/// <summary>The words by which answers are dropped together. Some every answer has; others its caller gives.</summary>
public static class CacheTag
{
    /// <summary>All there is of the tenant.</summary>
    public const string All = "*";

    /// <summary>The most tags of one answer.</summary>
    public const int Most = 32;

    public const int MaxLength = 200;

    /// <summary>Letters, digits and what stands in names of models and prompts.</summary>
    public static bool IsTag(string text) =>
        text.Length is > 0 and <= MaxLength
        && !text.AsSpan().ContainsAnyExceptInRange('!', '~')
        && !text.Contains(',', StringComparison.Ordinal);

    internal static string Model(string name) => $"model:{name}";

    internal static string[] Of(InferenceCall call, IReadOnlyList<string> own, string askedModel, string model)
    {
        List<string> tags = [All, Model(askedModel)];
        if (model != askedModel)
            tags.Add(Model(model));
        if (call.Prompt is { } prompt)
            tags.AddRange([$"prompt:{prompt.Key}", $"prompt:{prompt.Key}@{prompt.Version}"]);
        foreach (var tag in own)
        {
            if (tags.Count < Most && tag.Length <= MaxLength && !tags.Contains(tag))
                tags.Add(tag);
        }

        return [.. tags];
    }

    /// <summary>For each the tenant's own and the one that operators name for all tenants.</summary>
    internal static ulong[] Hash(Guid tenantId, IReadOnlyList<string> tags)
    {
        var hashes = new ulong[tags.Count * 2];
        for (var i = 0; i < tags.Count; i++)
            (hashes[2 * i], hashes[2 * i + 1]) = (Hash(tenantId, tags[i]), Hash(Guid.Empty, tags[i]));
        return hashes;
    }

    internal static ulong Hash(Guid tenantId, string tag)
    {
        // Two tags with one hash are dropped together, which is no harm.
        Span<byte> text = stackalloc byte[16 + 4 * MaxLength];
        tenantId.TryWriteBytes(text);
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(text[..(16 + Encoding.UTF8.GetBytes(tag.AsSpan(0, Math.Min(tag.Length, MaxLength)), text[16..]))], hash);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }
}
