using ValueCanvas.VllmSimulator.Embeddings;
using ValueCanvas.VllmSimulator.Engine;
using ValueCanvas.VllmSimulator.Errors;
using ValueCanvas.VllmSimulator.Faults;
using ValueCanvas.VllmSimulator.Metrics;
using ValueCanvas.VllmSimulator.OpenAi;
using ValueCanvas.VllmSimulator.OpenAi.Chat;
using ValueCanvas.VllmSimulator.OpenAi.Completions;
using ValueCanvas.VllmSimulator.Tokenization;

namespace ValueCanvas.VllmSimulator;

/// <summary>The server, put together but not started.</summary>
internal static class SimulatorApp
{
    // As much as the proxy passes on (Inference:MaxBodyBytes).
    private const long LargestBody = 32 * 1024 * 1024;

    public static WebApplication Create(string[] args)
    {
        var builder = WebApplication.CreateBuilder(args);
        builder.AddServiceDefaults();
        builder.WebHost.ConfigureKestrel(options => options.Limits.MaxRequestBodySize = LargestBody);
        builder.Services.AddOptions<SimulatorOptions>().BindConfiguration(SimulatorOptions.Section).ValidateDataAnnotations()
            .ValidateOnStart();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddEngine();
        builder.Services.AddFaults();
        builder.Services.AddSingleton<ReplyWriter>();

        var app = builder.Build();
        app.UseClientAborts();
        app.UseUnknownPaths();
        app.UseFaults();
        app.MapStatusEndpoints();
        app.MapModelEndpoints();
        app.MapChatEndpoints();
        app.MapCompletionEndpoints();
        app.MapEmbeddingEndpoints();
        app.MapTokenizationEndpoints();
        app.MapFaultEndpoints();
        return app;
    }
}
