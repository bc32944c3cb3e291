namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>Thrown when an answer that is no event stream broke after it had begun to go out: the server then closes the connection without
/// ending the body, which is the only way to tell the client that what it has is not whole.</summary>
internal sealed class BrokenAnswerException(AttemptFailure failure) : Exception($"The replica's answer broke ({failure.Label()}).");
