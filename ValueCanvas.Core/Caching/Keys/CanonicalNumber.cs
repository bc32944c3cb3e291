using System.Buffers.Text;
using System.Globalization;

namespace ValueCanvas.Core.Caching.Keys;

/// <summary>One way to write each number: 0, 0.0 and 0e5 are the same, and so are 1.5 and 15e-1; no digit is lost.</summary>
internal static class CanonicalNumber
{
    private const int MostDigits = 128;
    private const int MostZeros = 20;

    /// <summary>False: it is so long that it stays as it is.</summary>
    public static bool Write(ReadOnlySpan<byte> text, Span<byte> to, out int length)
    {
        length = 0;
        if (text.Length > MostDigits)
            return false;

        // 1. Digits, and where the point is.
        Span<byte> digits = stackalloc byte[MostDigits];
        var (count, exponent, isFraction, at) = (0, 0L, false, 0);
        var negative = text[0] == '-';
        for (at = negative ? 1 : 0; at < text.Length && (text[at] | 0x20) != 'e'; at++)
        {
            if (text[at] == '.')
            {
                isFraction = true;
                continue;
            }

            exponent -= isFraction ? 1 : 0;
            if (count > 0 || text[at] != '0')
                digits[count++] = text[at];
        }

        if (at < text.Length)
        {
            if (!long.TryParse(text[(at + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var power)
                || Math.Abs(power) > 100_000)
            {
                return false;
            }

            exponent += power;
        }

        // 2. No zeros at the end.
        while (count > 0 && digits[count - 1] == '0')
        {
            count--;
            exponent++;
        }

        if (count == 0)
        {
            to[length++] = (byte)'0';
            return true;
        }

        // 3. Whole numbers as such, so that most are written as they came.
        if (negative)
            to[length++] = (byte)'-';
        digits[..count].CopyTo(to[length..]);
        length += count;
        if (exponent is >= 0 and <= MostZeros)
        {
            to.Slice(length, (int)exponent).Fill((byte)'0');
            length += (int)exponent;
            return true;
        }

        to[length++] = (byte)'e';
        Utf8Formatter.TryFormat(exponent, to[length..], out var written);
        length += written;
        return true;
    }
}
