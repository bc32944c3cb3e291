namespace ValueCanvas.Core.Inference;

/// <summary>One request of the proxy to one model server, made for a call: the answer, or what was tried before or beside it.</summary>
/// <param name="Target">The replica, as the proxy names it.</param>
/// <param name="Provider">Whose it is.</param>
/// <param name="Model">What it calls the model.</param>
/// <param name="End"><c>none</c> where it came to its proper end, else why it did not.</param>
/// <param name="IsHedge">Made beside a slow one: nobody asked for it.</param>
/// <param name="IsAnswer">The caller got its content, or a part of it.</param>
/// <param name="Took">From its start to its end.</param>
/// <param name="ReplicaTime">Its share of the time of a replica of our own; zero for others.</param>
/// <param name="Usage">Null where the server told none.</param>
public sealed record InferenceAttempt(
    string Target, string Provider, string Model, string End, bool IsHedge, bool IsAnswer, TimeSpan Took, TimeSpan ReplicaTime,
    TokenUsage? Usage);
