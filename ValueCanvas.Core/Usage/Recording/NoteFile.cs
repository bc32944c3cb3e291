using System.Buffers;
using System.IO.MemoryMappedFiles;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>
/// A file of lines of one length, mapped into memory part by part: <c>+</c> and a JSON text, or <c>-</c> where a line is free.
/// </summary>
internal sealed class NoteFile(FileStream file) : IDisposable
{
    public const int LineLength = 2048;
    private const int LinesAtOnce = 256;

    private readonly List<IDisposable> _mapped = [];

    public string Name => file.Name;

    /// <summary>More lines, all free.</summary>
    public NoteLine[] Grow()
    {
        // Written, not only made longer: a page without its place on the disk, and the disk full, would be the end of the process.
        var start = file.Length;
        var free = new byte[LinesAtOnce * LineLength];
        free.AsSpan().Fill((byte)' ');
        for (var at = 0; at < free.Length; at += LineLength)
            (free[at], free[at + LineLength - 1]) = ((byte)'-', (byte)'\n');
        file.Position = start;
        file.Write(free);
        var map = MemoryMappedFile.CreateFromFile(
            file, mapName: null, capacity: 0, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        _mapped.Add(map);
        var part = map.CreateViewAccessor(start, free.Length);
        _mapped.Insert(0, part);
        return [.. Enumerable.Range(0, LinesAtOnce).Select(line => new NoteLine(part, line * LineLength))];
    }

    /// <summary>The texts that another process has left.</summary>
    public static IEnumerable<string> Read(FileStream file)
    {
        using var reader = new StreamReader(file, leaveOpen: true);
        while (reader.ReadLine() is { } line)
        {
            if (line is ['+', ..])
                yield return line[1..];
        }
    }

    public void Dispose()
    {
        foreach (var mapped in _mapped)
            mapped.Dispose();
        file.Dispose();
    }
}

/// <summary>One line of a <see cref="NoteFile"/>; of one call at a time.</summary>
internal sealed class NoteLine(MemoryMappedViewAccessor part, int start)
{
    private const int Longest = NoteFile.LineLength - 2;

    /// <summary>False: the text is too long for it.</summary>
    public bool TryWrite(ReadOnlySpan<byte> json)
    {
        if (json.Length > Longest)
            return false;
        // Over what stood there before; the line counts from its first character on, which comes last.
        var text = ArrayPool<byte>.Shared.Rent(Longest);
        json.CopyTo(text);
        text.AsSpan(json.Length, Longest - json.Length).Fill((byte)' ');
        part.WriteArray(start + 1, text, 0, Longest);
        ArrayPool<byte>.Shared.Return(text);
        part.Write(start, (byte)'+');
        return true;
    }

    public void Clear() => part.Write(start, (byte)'-');
}
