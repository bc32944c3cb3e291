namespace ValueCanvas.VllmSimulator.Faults;

/// <summary>
/// Ends a response that has begun as a dying server would: Kestrel sends what is written, then closes the connection before the end
/// of the body. (Aborting the connection would reset it, and take back what the client has not read yet.)
/// </summary>
internal sealed class ConnectionCutException() : IOException("A fault on demand cut the connection.");
