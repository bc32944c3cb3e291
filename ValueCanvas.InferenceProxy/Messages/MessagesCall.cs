using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>Goes with a request that came as a Messages request: what the client sent, for targets that understand it, and why no others
/// can have it, if so.</summary>
internal sealed record MessagesCall(ReadOnlyMemory<byte> Body, RequestPeek Peek, ProxyError? Unfit);
