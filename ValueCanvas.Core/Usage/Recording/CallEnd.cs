namespace ValueCanvas.Core.Usage.Recording;

/// <summary>How a call ended.</summary>
internal enum CallEnd
{
    Completed,

    /// <summary>Whoever asked has gone.</summary>
    Cancelled,

    /// <summary>Refused, or broken on the other side.</summary>
    Failed,

    /// <summary>The process that made it died meanwhile: what it cost is not known, and nobody pays.</summary>
    WrittenOff,
}

internal static class CallEnds
{
    public static string ToName(this CallEnd end) => end switch
    {
        CallEnd.Completed => "completed",
        CallEnd.Cancelled => "cancelled",
        CallEnd.WrittenOff => "written_off",
        _ => "failed",
    };
}
