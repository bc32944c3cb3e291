using System.Text;
using Microsoft.Extensions.Primitives;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Callers;

/// <summary>A body's field <c>risk_level</c>: another way to give the header of <see cref="InternalCaller.RiskHeader"/>, believed from the
/// same callers only. No provider knows it, and none gets to see it.</summary>
/// <param name="Level">As it stands there; empty for null.</param>
/// <param name="Start">Where the property's name begins in the body.</param>
/// <param name="End">Behind its value.</param>
internal readonly record struct RiskField(string Level, int Start, int End)
{
    private const int LongestLevel = 32;

    public static ReadOnlySpan<byte> Name => "risk_level"u8;

    public static RiskField Of(ReadOnlySpan<byte> body, int start, int valueStart, int end)
    {
        var value = body[valueStart..Math.Min(end, valueStart + LongestLevel)];
        return new RiskField(value.SequenceEqual("null"u8) ? "" : Encoding.UTF8.GetString(value.Trim((byte)'"')), start, end);
    }

    /// <summary>Moves what the field says to the header, unless that is given, too: it counts.</summary>
    public void MoveToHeader(HttpRequest request, RequestBody body)
    {
        body.Blank(Start, End);
        if (StringValues.IsNullOrEmpty(request.Headers[InternalCaller.RiskHeader]))
            request.Headers[InternalCaller.RiskHeader] = Level;
    }
}
