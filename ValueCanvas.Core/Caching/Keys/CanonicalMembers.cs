using System.Buffers;

namespace ValueCanvas.Core.Caching.Keys;

/// <summary>The members of the objects that are being written, the outer ones' first. An object's are put in order at its end.</summary>
internal struct CanonicalMembers()
{
    private Member[] _members = [];

    public int Count { get; private set; }

    public readonly void Return()
    {
        if (_members.Length > 0)
            ArrayPool<Member>.Shared.Return(_members);
    }

    public void Add(int start, int nameLength, int end)
    {
        if (Count == _members.Length)
        {
            var larger = ArrayPool<Member>.Shared.Rent(Math.Max(16, _members.Length * 2));
            _members.CopyTo(larger, 0);
            Return();
            _members = larger;
        }

        _members[Count++] = new(start, nameLength, end);
    }

    /// <summary>The last two stand in the order of their names.</summary>
    public readonly bool IsLastInOrder(ReadOnlySpan<byte> text) => Compare(text, _members[Count - 2], _members[Count - 1]) < 0;

    /// <summary>An object is written: its members are known no more.</summary>
    public void DropFrom(int first) => Count = first;

    /// <summary>Sorts the members from one on, and the text with them. False: a name stands there twice, and readers differ in which one
    /// counts.</summary>
    public readonly bool TrySort(int first, CanonicalText text, int begin)
    {
        var members = _members.AsSpan(first, Count - first);
        members.Sort((left, right) => Compare(text.Written, left, right));
        var part = text.From(begin);
        var sorted = ArrayPool<byte>.Shared.Rent(part.Length);
        var unique = true;
        var to = 0;
        for (var i = 0; i < members.Length; i++)
        {
            unique &= i == 0 || Compare(text.Written, members[i - 1], members[i]) != 0;
            var member = text.Written[members[i].Start..members[i].End];
            member.CopyTo(sorted.AsSpan(to));
            to += member.Length;
        }

        sorted.AsSpan(0, part.Length).CopyTo(part);
        ArrayPool<byte>.Shared.Return(sorted);
        return unique;
    }

    private static int Compare(ReadOnlySpan<byte> text, in Member left, in Member right) =>
        text.Slice(left.Name, left.NameLength).SequenceCompareTo(text.Slice(right.Name, right.NameLength));

    /// <summary>Where a member stands: a comma, the length of its name, the name, and its value up to the end.</summary>
    private readonly record struct Member(int Start, int NameLength, int End)
    {
        public int Name => Start + 1 + sizeof(int);
    }
}
