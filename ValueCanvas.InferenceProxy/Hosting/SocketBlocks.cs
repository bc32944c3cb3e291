using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;

namespace ValueCanvas.InferenceProxy.Hosting;

/// <summary>
/// Kestrel's memory in larger blocks than its own of 4 kB, in which a prompt of 50 kB takes thirteen system calls to receive. A connection
/// holds a block only while there is something in it.
/// </summary>
internal sealed class SocketBlocks : IMemoryPoolFactory<byte>
{
    private const int Size = 16 * 1024;

    // What a burst has taken beyond these goes back to the collector.
    private const int Kept = 128;

    public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => new Pool();

    private sealed class Pool : MemoryPool<byte>
    {
        private readonly ConcurrentQueue<Block> _free = new();

        public override int MaxBufferSize => Size;

        public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, Size);
            return _free.TryDequeue(out var block) ? block : new Block(this);
        }

        public void Return(Block block)
        {
            if (_free.Count < Kept)
            {
                _free.Enqueue(block);
            }
        }

        protected override void Dispose(bool disposing) => _free.Clear();
    }

    private sealed class Block(Pool pool) : IMemoryOwner<byte>
    {
        public Memory<byte> Memory { get; } =
            MemoryMarshal.CreateFromPinnedArray(GC.AllocateUninitializedArray<byte>(Size, pinned: true), 0, Size);

        public void Dispose() => pool.Return(this);
    }
}
