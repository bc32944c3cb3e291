namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Thrown when an answer that has begun to go out broke: the server then closes the connection without ending the body, which is the
/// only way to tell the client, beside the error event, that what it has is not whole.</summary>
internal sealed class BrokenStreamException(AttemptFailure failure) : Exception($"The replica's answer broke ({failure.Label()}).");
