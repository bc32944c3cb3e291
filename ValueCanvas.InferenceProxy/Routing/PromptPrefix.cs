using System.Buffers;
using System.Text;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Json;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>
/// A prompt as a chain of hashes: salt and model as the seed, then tools and messages in the order in which a chat template writes them, in
/// blocks of 256 bytes. Two prompts that begin alike have equal hashes up to where they part, wherever in the body their fields stand and
/// however they are spaced and escaped; no tokenizer is needed.
/// </summary>
internal sealed class PromptPrefix : IDisposable
{
    public const int BlockBytes = 256;

    // 1 MiB of prompt, more than a context of 128 K tokens: what comes behind does not decide.
    private const int MostBlocks = 4096;

    private readonly ulong[] _blocks;
    private int _count;

    private PromptPrefix(int capacity) => _blocks = ArrayPool<ulong>.Shared.Rent(Math.Max(1, capacity));

    public ReadOnlySpan<ulong> Blocks => _blocks.AsSpan(0, _count);

    /// <summary>The prompt's length in bytes, the part behind the last whole block included.</summary>
    public int Bytes { get; private set; }

    /// <summary>The prompt is longer than what was read of it.</summary>
    public bool IsCut => _count == MostBlocks;

    /// <param name="body">Valid JSON.</param>
    /// <param name="fields">Where its prompt stands.</param>
    /// <param name="tenant">Tenants share no cache entries.</param>
    /// <param name="model">The model that the alias means.</param>
    public static PromptPrefix Of(ReadOnlySpan<byte> body, in PromptFields fields, string tenant, string model)
    {
        var tools = body[fields.Tools];
        var prompt = body[fields.Prompt];
        var prefix = new PromptPrefix(Math.Min(MostBlocks, (tools.Length + prompt.Length) / BlockBytes + 1));
        var chain = new Chain(prefix, Seed(tenant, model, body[fields.Salt]), stackalloc byte[BlockBytes]);
        Walk(tools, ref chain);
        Walk(prompt, ref chain);
        prefix.Bytes = chain.Bytes;
        return prefix;
    }

    public void Dispose() => ArrayPool<ulong>.Shared.Return(_blocks);

    // What strings mean, however they are escaped, numbers as they are written, one byte for each bracket: all that counts but the spaces.
    private static void Walk(ReadOnlySpan<byte> json, ref Chain chain)
    {
        if (json.IsEmpty)
        {
            return;
        }

        var reader = new JsonWalker(json);
        while (reader.Read() && !chain.Full)
        {
            chain.Add((byte)reader.TokenType);
            if (reader.ValueIsEscaped)
            {
                Unescape(reader.ValueSpan, ref chain);
            }
            else if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName or JsonTokenType.Number)
            {
                chain.Add(reader.ValueSpan);
            }
        }
    }

    private static void Unescape(ReadOnlySpan<byte> text, ref Chain chain)
    {
        Span<byte> means = stackalloc byte[JsonEscapes.MostBytes];
        while (!chain.Full && text.IndexOf((byte)'\\') is var escape and >= 0)
        {
            chain.Add(text[..escape]);
            text = text[(escape + JsonEscapes.Read(text[escape..], means, out var written))..];
            chain.Add(means[..written]);
        }

        chain.Add(text);
    }

    private static ulong Seed(string tenant, string model, ReadOnlySpan<byte> salt)
    {
        Span<byte> block = stackalloc byte[BlockBytes];
        var seed = Mix(Mix(0, tenant, block), model, block);
        for (; !salt.IsEmpty; salt = salt[Math.Min(salt.Length, BlockBytes)..])
        {
            seed = Mix(seed, salt[..Math.Min(salt.Length, BlockBytes)], block);
        }

        return seed;
    }

    private static ulong Mix(ulong seed, string text, Span<byte> block)
    {
        // A name longer than the block is cut: names that begin alike for so long share a seed, which costs a wrong guess at worst.
        Encoding.UTF8.GetEncoder().Convert(text, block[..^4], flush: true, out _, out var bytes, out _);
        block[bytes..].Clear();
        return BlockHash.Next(seed + (ulong)bytes, block);
    }

    private static ulong Mix(ulong seed, ReadOnlySpan<byte> text, Span<byte> block)
    {
        text.CopyTo(block);
        block[text.Length..].Clear();
        return BlockHash.Next(seed + (ulong)text.Length, block);
    }

    private ref struct Chain(PromptPrefix prefix, ulong seed, Span<byte> block)
    {
        private readonly Span<byte> _block = block;
        private ulong _hash = seed;
        private int _held;

        public int Bytes { get; private set; }

        public readonly bool Full => prefix._count == MostBlocks;

        public void Add(byte one)
        {
            _block[_held++] = one;
            Bytes++;
            if (_held == BlockBytes)
            {
                Close(_block);
            }
        }

        public void Add(scoped ReadOnlySpan<byte> bytes)
        {
            Bytes += bytes.Length;
            while (!bytes.IsEmpty)
            {
                if (_held == 0 && bytes.Length >= BlockBytes)
                {
                    Close(bytes[..BlockBytes]);
                    bytes = bytes[BlockBytes..];
                    continue;
                }

                var part = bytes[..Math.Min(bytes.Length, BlockBytes - _held)];
                part.CopyTo(_block[_held..]);
                _held += part.Length;
                bytes = bytes[part.Length..];
                if (_held == BlockBytes)
                {
                    Close(_block);
                }
            }
        }

        private void Close(scoped ReadOnlySpan<byte> whole)
        {
            _held = 0;
            if (!Full)
            {
                _hash = BlockHash.Next(_hash, whole);
                prefix._blocks[prefix._count++] = _hash;
            }
        }
    }
}
