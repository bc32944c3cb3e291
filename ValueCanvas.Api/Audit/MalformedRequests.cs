using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Http.Features;

namespace ValueCanvas.Api.Audit;

/// <summary>
/// Requests that the server refuses before any middleware sees them: a head that makes no sense, is too long or does not end.
/// </summary>
internal sealed class MalformedRequests(DiagnosticListener server, AuditLog audit)
    : IHostedService, IObserver<KeyValuePair<string, object?>>
{
    private const string Refused = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    private IDisposable? _subscription;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        _subscription = server.Subscribe(this, name => name == Refused);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _subscription?.Dispose();
        return Task.CompletedTask;
    }

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value is not { Key: Refused, Value: IFeatureCollection request }
            || request.Get<IBadRequestExceptionFeature>()?.Error is not BadHttpRequestException refused)
        {
            return;
        }

        // Nothing of the request: its text is whatever the client made it.
        audit.Record(
            new DefaultHttpContext(request),
            new("request.malformed", AuditOutcome.Denied) { Details = [
                ("status", refused.StatusCode.ToString(CultureInfo.InvariantCulture))] });
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }
}
