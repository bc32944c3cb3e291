using System.Text;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>
/// Lets a stream that broke behind its first content go on at another replica of the same target, as often as attempts, budget and time
/// allow. The attempt that broke is closed and judged before the next one is asked.
/// </summary>
internal sealed class Resumer(TargetChooser chooser, AttemptRunner attempts, ResumeSignals signals, TimeProvider time)
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 128 };

    /// <summary>None when the client's stream has come to its end after all; else it has been ended with an error event.</summary>
    public async Task<AttemptFailure> GoOnAsync(HttpContext context, RequestBody body, RunningAttempt broken)
    {
        var (call, failure, error) = (broken.Call, broken.Failure, broken.Attempt.HeldError());
        using var answer = broken.Attempt.TakeAnswer();
        using var asked = JsonDocument.Parse(body.Bytes, Reading);
        answer.Cut(broken.Attempt.Usage);
        call.LastSign = time.GetTimestamp();
        while (true)
        {
            broken.Dispose();
            if (answer.IsFinished || ResumeRequest.Left(asked.RootElement, call.Operation, answer) <= 0)
            {
                using var events = new ResumedEvents(answer, call.Operation, call.Peek.Options);
                await events.FinishAsync(context.Response, answer.IsFinished ? null : "length", context.RequestAborted);
                signals.Finished();
                return AttemptFailure.None;
            }

            if (!answer.CanGoOn || !CanAsk(call, asked, answer) || await chooser.NextAsync(context, broken) is not { } target)
            {
                signals.Unavailable();
                await ResponseRelay.WriteBreakAsync(context.Response, error, context.RequestAborted);
                return failure;
            }

            (broken, failure) = await TryAsync(context, body, asked.RootElement, call, target, answer);
            if (failure is AttemptFailure.None or AttemptFailure.ClientGone)
                return failure;
        }
    }

    /// <summary>There is time left, and a way to ask.</summary>
    private bool CanAsk(ForwardedCall call, JsonDocument asked, AnswerSoFar answer) =>
        call.Resume(time) && !(call.Caller.Deadline <= time.GetUtcNow())
        && ResumeRequest.Build(asked.RootElement, call.Operation, call.Turn, maxModelLength: null, answer) is not null;

    /// <summary>One attempt to go on, to its end. It has been closed and judged then.</summary>
    private async Task<(RunningAttempt Closed, AttemptFailure Failure)> TryAsync(
        HttpContext context, RequestBody body, JsonElement asked, ForwardedCall call, ForwardedCall.Target target, AnswerSoFar answer)
    {
        var length = target.Replica.State.Models.GetValueOrDefault(target.Model.Model)?.MaxModelLength;
        var request = ResumeRequest.Build(asked, call.Operation, target.Model, length, answer)!;
        using var running = attempts.Start(context, body, call, target, resume: request);
        var attempt = running.Attempt;
        attempts.Learn(running, await KeepAlive.WaitAsync(context, call, running.FirstContent, time));
        if (running.Failure != AttemptFailure.None)
        {
            signals.Ended(request.Mode, whole: false);
            return (running, running.Failure);
        }

        attempts.Adopted(running);
        if (!attempt.IsEventStream)
        {
            // It refuses to go on, which says nothing against it, and others would as well.
            running.Status = (int)attempt.Response.StatusCode;
            signals.Ended(request.Mode, whole: false);
            return (running, AttemptFailure.Cut);
        }

        signals.Began(attempt, request.Mode, answer.Tokens);
        running.Failure = AttemptFailure.ClientGone; // what an exception out of a write means
        var seam = $": {ForwardedHeaders.Resumed}: {request.Mode.Label()}; {ForwardedHeaders.Target}: {target.Replica.Name}\n\n";
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(seam), attempt.Client);
        using var events = new ResumedEvents(answer, call.Operation, call.Peek.Options);
        running.Failure = await events.CopyAsync(attempt, context.Response);
        answer.Cut(attempt.Usage);
        if (running.Failure != AttemptFailure.ClientGone)
            signals.Ended(request.Mode, whole: running.Failure == AttemptFailure.None);

        return (running, running.Failure);
    }
}
