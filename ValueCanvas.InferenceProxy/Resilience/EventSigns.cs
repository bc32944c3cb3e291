namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>What one event of a stream says.</summary>
[Flags]
internal enum EventSigns
{
    None = 0,

    /// <summary>Text, a tool call, reasoning, or anything unknown: the client shall have it.</summary>
    Content = 1,

    /// <summary>A finish reason.</summary>
    Finish = 2,

    /// <summary><c>[DONE]</c></summary>
    Done = 4,

    /// <summary>An error object.</summary>
    Error = 8,

    /// <summary>The error is the client's own, by its code.</summary>
    ClientFault = 16,

    /// <summary>Not a JSON object.</summary>
    Malformed = 32,
}
