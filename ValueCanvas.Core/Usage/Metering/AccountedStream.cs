using System.Text;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>An event stream without the comments that begin with a mark, which the meter gets.</summary>
internal sealed class AccountedStream(Stream inner, string mark, CallMeter meter) : HeldBackStream(inner)
{
    private readonly byte[] _mark = Encoding.ASCII.GetBytes($":{mark} ");
    private readonly StreamEnd _end = new();

    protected override async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        var read = await ReadInnerAsync(cancellationToken);
        Held += read;
        Sort(end: read == 0);
        _end.Note(Bytes[..Ready]);
        if (read == 0)
        {
            HasEnded = true;
            meter.Ended(_end.HasCome);
        }
    }

    /// <summary>Takes out the lines of the accounts; what may be the beginning of one waits for the rest.</summary>
    private void Sort(bool end)
    {
        var from = 0;
        while (true)
        {
            var bytes = Bytes[from..Held];
            var at = bytes.IndexOf(_mark);
            if (at < 0)
            {
                Ready = end ? Held : Held - BeginningOfMark(bytes);
                return;
            }

            var line = bytes[(at + _mark.Length)..];
            var length = line.IndexOf("\n\n"u8);
            if (length < 0)
            {
                // Of a line that was cut nothing goes out, and what it says is not known.
                Ready = from + at;
                Held = end ? Ready : Held;
                return;
            }

            meter.Told(line[..length]);
            var behind = line[(length + 2)..];
            behind.CopyTo(bytes[at..]);
            Held = from + at + behind.Length;
            from += at;
        }
    }

    private int BeginningOfMark(ReadOnlySpan<byte> bytes)
    {
        for (var length = Math.Min(_mark.Length - 1, bytes.Length); length > 0; length--)
        {
            if (bytes.EndsWith(_mark.AsSpan(0, length)))
                return length;
        }

        return 0;
    }
}
