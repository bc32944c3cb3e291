using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.Tests.InferenceProxy.Routing;

public sealed class PrefixIndexTests
{
    [Fact]
    public void Match_CountsTheFirstBlocksThatWereRecorded()
    {
        var index = new PrefixIndex();
        index.Record([1, 2, 3], capacity: 100);

        Assert.Equal(3, index.Match([1, 2, 3]));
        Assert.Equal(2, index.Match([1, 2, 30, 40]));
        Assert.Equal(3, index.Match([1, 2, 3, 4, 5]));
        Assert.Equal(0, index.Match([9]));
        Assert.Equal(0, index.Match([]));
    }

    [Fact]
    public void Record_AboveCapacity_ForgetsTheOldestTailFirst()
    {
        var index = new PrefixIndex();
        index.Record([1, 2, 3], capacity: 5);
        index.Record([1, 12, 13], capacity: 5);
        index.Record([1, 22], capacity: 5);

        Assert.Equal(5, index.Count);
        Assert.Equal(2, index.Match([1, 2, 3])); // 3 went before 2, and 1 was used since
        Assert.Equal(3, index.Match([1, 12, 13]));
        Assert.Equal(2, index.Match([1, 22]));
    }

    [Fact]
    public void Clear_ForgetsAll()
    {
        var index = new PrefixIndex();
        index.Record([1, 2, 3], capacity: 5);
        index.Clear();
        Assert.Equal((0, 0), (index.Count, index.Match([1])));

        index.Record([1, 2], capacity: 5);
        Assert.Equal(2, index.Match([1, 2]));
    }

    /// <summary>Against a plain model: any sequence of prompts of a tree, at capacities that change.</summary>
    [Fact]
    public void RandomPrompts_AgreeWithAPlainList()
    {
        var random = new Random(5);
        var index = new PrefixIndex();
        var plain = new List<ulong>(); // newest last
        for (var i = 0; i < 20_000; i++)
        {
            var capacity = random.Next(10) == 0 ? 300 : 700;
            var chain = new ulong[random.Next(1, 40)];
            var parent = 0UL;
            for (var b = 0; b < chain.Length; b++)
            {
                parent = parent * 31 + 1 + (ulong)random.Next(b < 3 ? 2 : 4);
                chain[b] = parent;
            }

            Assert.Equal(chain.TakeWhile(plain.Contains).Count(), index.Match(chain));
            index.Record(chain, capacity);
            foreach (var block in chain.Reverse())
            {
                plain.Remove(block);
                plain.Add(block);
            }

            plain.RemoveRange(0, Math.Max(0, plain.Count - capacity));
            Assert.Equal(plain.Count, index.Count);
        }
    }
}
