using System.Buffers;
using System.Text.Unicode;

namespace ValueCanvas.Api.Protection;

/// <summary>Whether a path, as it came over the wire, means the same to everyone who decodes it.</summary>
internal static class RequestPaths
{
    /// <summary>The name of a model may hold slashes, and clients encode them.</summary>
    private const string Models = "/v1/models/";

    private static readonly SearchValues<char> Plain =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-_~:@!$&'()*+,;=");

    /// <summary>Null where there is none.</summary>
    public static (string Reason, string Text)? Problem(string? target)
    {
        // The absolute form is Kestrel's to take apart, and "*" has no path.
        if (target is null or "" || target[0] != '/')
            return null;
        var query = target.IndexOf('?');
        var path = target.AsSpan(0, query < 0 ? target.Length : query);
        if (path.IndexOfAnyExcept(Plain) < 0)
            return null;

        Span<byte> decoded = path.Length <= 1024 ? stackalloc byte[1024] : new byte[path.Length];
        if (!TryDecode(path, decoded, out var length, out var slashes))
        {
            return (
                "path escape",
                "The path has a % that no two hexadecimal digits follow, or a character that is not ASCII. Escape it as %XX.");
        }

        decoded = decoded[..length];
        if (slashes && !path.StartsWith(Models, StringComparison.OrdinalIgnoreCase))
            return ("path slash", "The path has an escaped slash. Send no %2F.");
        if (decoded.ContainsAnyInRange((byte)0, (byte)0x1f) || decoded.Contains((byte)0x7f) || decoded.Contains((byte)'\\'))
            return ("path character", "The path has a backslash or a control character. Send neither.");
        if (!Utf8.IsValid(decoded))
            return ("path encoding", "The path is not valid UTF-8. Encode it as UTF-8 before escaping.");
        return HasDots(decoded) ? ("path dots", "The path has a segment of dots. Send the path itself.") : null;
    }

    private static bool TryDecode(ReadOnlySpan<char> path, Span<byte> into, out int length, out bool slashes)
    {
        (length, slashes) = (0, false);
        for (var i = 0; i < path.Length; i++)
        {
            var value = path[i];
            if (value == '%')
            {
                if (i + 2 >= path.Length || !char.IsAsciiHexDigit(path[i + 1]) || !char.IsAsciiHexDigit(path[i + 2]))
                    return false;
                value = (char)((Digit(path[i + 1]) << 4) | Digit(path[i + 2]));
                slashes |= value == '/';
                i += 2;
            }
            else if (!char.IsAscii(value))
            {
                return false;
            }

            into[length++] = (byte)value;
        }

        return true;
    }

    private static int Digit(char hex) => char.IsAsciiDigit(hex) ? hex - '0' : (hex | 0x20) - 'a' + 10;

    private static bool HasDots(ReadOnlySpan<byte> path)
    {
        foreach (var segment in path.Split((byte)'/'))
        {
            if (path[segment] is [(byte)'.'] or [(byte)'.', (byte)'.'])
                return true;
        }

        return false;
    }
}
