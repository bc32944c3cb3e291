namespace Aspire.Hosting.Orchestration;
internal sealed class ApplicationOrchestrator : IAsyncDisposable
{
#pragma warning disable CA1822, IDE0060
    public Task RunAsync(CancellationToken ct) => throw new NotSupportedException();
    public Task StartAsync(CancellationToken ct) => throw new NotSupportedException();
    public Task StopAsync(CancellationToken ct) => throw new NotSupportedException();
    public Task ExecuteAsync(string id, string command, CancellationToken ct) => throw new NotSupportedException();
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
