using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Tests.Core.Inference;

/// <summary>What a service composes to reach models, pointed at an address.</summary>
internal sealed class InferenceHost : IDisposable
{
    private readonly IHost _host;

    public InferenceHost(string address, params (string Key, string Value)[] settings) : this(address, TimeProvider.System, settings)
    {
    }

    public InferenceHost(string address, TimeProvider clock, params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "ValueCanvas.Tests" });
        builder.Configuration.AddInMemoryCollection(
            settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))
                .Append(KeyValuePair.Create("services:inference:http:0", (string?)address)));
        builder.Services.AddSingleton(clock);
        builder.AddServiceDefaults();
        builder.Logging.ClearProviders();
        builder.AddInference();
        builder.Services.AddCanvases();
        _host = builder.Build();
    }

    public InferenceClient Client => _host.Services.GetRequiredService<InferenceClient>();

    public CanvasGenerator Canvases => _host.Services.GetRequiredService<CanvasGenerator>();

    public T Require<T>() where T : notnull => _host.Services.GetRequiredService<T>();

    public Task StartAsync(CancellationToken cancellationToken) => _host.StartAsync(cancellationToken);

    public void Dispose() => _host.Dispose();
}
