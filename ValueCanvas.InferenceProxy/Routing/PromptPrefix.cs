using System.Buffers;
using System.Text;
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

    // So much is looked at together.
    private const int WindowBytes = 16 * BlockBytes;

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
        var chain = new Chain(prefix, Seed(tenant, model, body[fields.Salt]), stackalloc byte[WindowBytes]);
        chain.Add(tools);
        chain.Add(prompt);
        return prefix;
    }

    public void Dispose() => ArrayPool<ulong>.Shared.Return(_blocks);

    private static ulong Seed(string tenant, string model, ReadOnlySpan<byte> salt)
    {
        Span<byte> block = stackalloc byte[BlockBytes];
        var seed = Mix(Mix(0, tenant, block), model, block);
        for (; !salt.IsEmpty; salt = salt[Math.Min(salt.Length, BlockBytes)..])
            seed = Mix(seed, salt[..Math.Min(salt.Length, BlockBytes)], block);

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

    /// <summary>Hashes what counts of a text in blocks that go on from one text to the next.</summary>
    private ref struct Chain(PromptPrefix prefix, ulong seed, Span<byte> window)
    {
        private readonly Span<byte> _window = window;
        private ulong _hash = seed;
        private int _held;

        public void Add(ReadOnlySpan<byte> json)
        {
            var canonical = new CanonicalJson(json);
            while (!prefix.IsCut && canonical.Read(_window[_held..]) is var read and > 0)
            {
                prefix.Bytes += read;
                _held += read;
                var hashed = 0;
                for (; _held - hashed >= BlockBytes && !prefix.IsCut; hashed += BlockBytes)
                {
                    _hash = BlockHash.Next(_hash, _window.Slice(hashed, BlockBytes));
                    prefix._blocks[prefix._count++] = _hash;
                }

                _window[hashed.._held].CopyTo(_window);
                _held -= hashed;
            }
        }
    }
}
