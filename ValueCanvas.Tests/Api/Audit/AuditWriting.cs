using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Protection;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Tests.Api.Audit;

/// <summary>The audit log with its writer, without a web server around it; keeps the messages of the service's own log.</summary>
internal sealed class AuditWriting : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly Messages _messages = new();
    private readonly List<IHostedService> _started = [];

    public AuditWriting(string connectionString, TimeProvider? time = null, params (string Key, string Value)[] settings)
    {
        var services = new ServiceCollection();
        services.AddSingleton<IConfiguration>(new ConfigurationBuilder()
            .AddInMemoryCollection(settings
                .Append((Key: "Accounts:SecretKey", Value: "a-secret-of-tests-that-is-long-enough"))
                // A busy machine takes its time to write what is left.
                .Append((Key: "Audit:StopTimeout", Value: "00:00:20"))
                .DistinctBy(setting => setting.Key)
                .Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).Build());
        services.AddLogging(logging => logging.AddProvider(_messages));
        services.AddMetrics();
        services.AddSingleton(new DiagnosticListener("ValueCanvas.Tests"));
        services.AddSingleton(time ?? TimeProvider.System);
        services.AddSingleton(_ => NpgsqlDataSource.Create(connectionString));
        services.AddSecrets();
        services.AddProtection();
        services.AddAudit();
        _services = services.BuildServiceProvider();
    }

    public AuditLog Log => _services.GetRequiredService<AuditLog>();

    public AuditQueue Queue => _services.GetRequiredService<AuditQueue>();

    public AuditPruner Pruner => _services.GetRequiredService<AuditPruner>();

    public IReadOnlyCollection<string> Logged => _messages.All;

    public static DefaultHttpContext From(string address) =>
        new() { Connection = { RemoteIpAddress = System.Net.IPAddress.Parse(address) } };

    public async Task StartAsync()
    {
        _ = _services.GetRequiredService<IOptions<AuditOptions>>().Value;
        foreach (var service in _services.GetServices<IHostedService>().Where(service => service is AuditWriter))
        {
            await service.StartAsync(TestContext.Current.CancellationToken);
            _started.Add(service);
        }
    }

    public async Task StopAsync()
    {
        foreach (var service in _started)
            await service.StopAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System);
        _started.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _services.DisposeAsync();
    }

    private sealed class Messages : ILoggerProvider, ILogger
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<string> _all = new();

        public IReadOnlyCollection<string> All => _all;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _all.Enqueue($"{logLevel}: {formatter(state, exception)}");

        public void Dispose()
        {
        }
    }
}
