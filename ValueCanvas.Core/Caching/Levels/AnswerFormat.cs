using System.IO.Compression;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Levels;

/// <summary>
/// Answers as Redis holds them: compressed, and sealed by a key of the installation's to the place where they belong, so that whoever reads
/// Redis, or moves what it holds, gets nobody's answer out of it or into it.
/// </summary>
/// <param name="seal">Closes and opens them.</param>
/// <param name="maxBytes">Of an answer.</param>
internal sealed class AnswerFormat(Seal seal, int maxBytes)
{
    private const byte Version = 1;
    private const int CompressFrom = 512;

    public byte[] Write(CachedAnswer answer) => seal.Close(Compose(answer), Place(answer.TenantId, answer.Key));

    /// <summary>Null: not ours, not this tenant's, not this request's, or damaged.</summary>
    public CachedAnswer? Read(byte[] value, Guid tenantId, CacheKey key)
    {
        try
        {
            if (seal.Open(value, Place(tenantId, key)) is not { } content)
                return null;
            var answer = Parse(content, key);
            return answer?.TenantId == tenantId ? answer : null;
        }
        catch (Exception e)
            when (e is IOException or ArgumentException or FormatException or InvalidOperationException or InvalidDataException)
        {
            return null;
        }
    }

    private static byte[] Place(Guid tenantId, CacheKey key) => [Version, .. tenantId.ToByteArray(), .. key.ToBytes()];

    private static byte[] Compose(CachedAnswer answer)
    {
        using var buffer = new MemoryStream(answer.Json.Length / 2 + 512);
        using var writer = new BinaryWriter(buffer);
        writer.Write(Version);
        writer.Write(answer.TenantId.ToByteArray());
        writer.Write(answer.Key.ToBytes());
        writer.Write(answer.Id.ToByteArray());
        writer.Write((byte)answer.Kind);
        writer.Write(answer.CreatedAt.UtcTicks);
        writer.Write(answer.ExpiresAt.UtcTicks);
        writer.Write(answer.Epoch);
        writer.Write(answer.AskedModel);
        writer.Write(answer.Model);
        writer.Write(answer.Provider ?? "");
        writer.Write(answer.PromptKey ?? "");
        writer.Write(answer.PromptVersion ?? "");
        writer.Write7BitEncodedInt(answer.Tags.Count);
        foreach (var tag in answer.Tags)
            writer.Write(tag);
        writer.Write(answer.Usage is not null);
        writer.Write(answer.Usage?.InputTokens ?? 0);
        writer.Write(answer.Usage?.OutputTokens ?? 0);
        writer.Write(answer.Usage?.CachedInputTokens ?? 0);
        writer.Write(answer.Usage?.ReasoningTokens ?? 0);
        writer.Write(answer.IdPlace.Start);
        writer.Write(answer.IdPlace.Length);
        writer.Write(answer.Json.Length);
        var compressed = answer.Json.Length >= CompressFrom;
        writer.Write(compressed);
        writer.Flush();
        if (compressed)
        {
            using var brotli = new BrotliStream(buffer, CompressionLevel.Fastest, leaveOpen: true);
            brotli.Write(answer.Json);
        }
        else
        {
            buffer.Write(answer.Json);
        }

        return buffer.ToArray();
    }

    private CachedAnswer? Parse(byte[] content, CacheKey key)
    {
        using var buffer = new MemoryStream(content, writable: false);
        using var reader = new BinaryReader(buffer);
        if (reader.ReadByte() != Version)
            return null;
        var tenant = new Guid(reader.ReadBytes(16));
        if (CacheKey.Read(reader.ReadBytes(CacheKey.Bytes)) != key)
            return null;
        var id = new Guid(reader.ReadBytes(16));
        var kind = (AnswerKind)reader.ReadByte();
        var created = new DateTimeOffset(reader.ReadInt64(), TimeSpan.Zero);
        var expires = new DateTimeOffset(reader.ReadInt64(), TimeSpan.Zero);
        var epoch = reader.ReadInt64();
        var (asked, model, provider) = (reader.ReadString(), reader.ReadString(), reader.ReadString());
        var (prompt, version) = (reader.ReadString(), reader.ReadString());
        var tags = new string[Math.Min(reader.Read7BitEncodedInt(), CacheTag.Most)];
        for (var i = 0; i < tags.Length; i++)
            tags[i] = reader.ReadString();
        var hasUsage = reader.ReadBoolean();
        var usage = new TokenUsage(reader.ReadInt32(), reader.ReadInt32(), reader.ReadInt32(), reader.ReadInt32());
        var place = (Start: reader.ReadInt32(), Length: reader.ReadInt32());
        var length = reader.ReadInt32();
        if (length < 0 || length > maxBytes || place.Start < 0 || place.Length < 0 || place.Start + place.Length > length)
            return null;
        var json = GC.AllocateUninitializedArray<byte>(length);
        if (reader.ReadBoolean())
        {
            using var brotli = new BrotliStream(buffer, CompressionMode.Decompress, leaveOpen: true);
            brotli.ReadExactly(json);
        }
        else
        {
            buffer.ReadExactly(json);
        }

        return new CachedAnswer
        {
            Id = id,
            TenantId = tenant,
            Key = key,
            Kind = kind,
            AskedModel = asked,
            Model = model,
            Provider = provider.Length > 0 ? provider : null,
            PromptKey = prompt.Length > 0 ? prompt : null,
            PromptVersion = version.Length > 0 ? version : null,
            Tags = tags,
            TagHashes = CacheTag.Hash(tenant, tags),
            Epoch = epoch,
            CreatedAt = created,
            ExpiresAt = expires,
            Usage = hasUsage ? usage : null,
            Json = json,
            IdPlace = place,
        };
    }
}
