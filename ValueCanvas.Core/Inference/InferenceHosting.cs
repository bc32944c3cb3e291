using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Usage;
using ValueCanvas.Core.Usage.Metering;

namespace ValueCanvas.Core.Inference;

public static class InferenceHosting
{
    /// <summary>
    /// Adds <see cref="InferenceClient"/> and the health check "inference". The address <c>http://inference</c> is resolved by service
    /// discovery (configuration key <c>services:inference:http:0</c>).
    /// </summary>
    public static IHostApplicationBuilder AddInference(this IHostApplicationBuilder builder)
    {
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<IValidateOptions<InferenceOptions>, OptionsValidator>();
        builder.Services.AddOptions<InferenceOptions>().BindConfiguration(InferenceOptions.Section).ValidateOnStart();
        builder.Services.AddTransient<UsageHandler>();
        builder.Services.AddTransient<MeterHandler>();
        builder.Services
            .AddHttpClient(InferenceClient.HttpClientName, (services, client) =>
            {
                client.BaseAddress = new Uri("http://inference");
                // A stream may last for as long as it makes progress: the client has bounds of its own.
                client.Timeout = Timeout.InfiniteTimeSpan;
                if (services.GetRequiredService<IConfiguration>()[InferenceHeaders.KeySetting] is { Length: > 0 } key)
                    client.DefaultRequestHeaders.TryAddWithoutValidation(InferenceHeaders.Key, key);
            })
            .ConfigurePrimaryHttpMessageHandler(services => new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                ConnectTimeout = services.GetRequiredService<IOptions<InferenceOptions>>().Value.ConnectTimeout,
                // Instead of the factory's rotation: replicas of the proxy that come later are found, streams in flight stay.
                PooledConnectionLifetime = TimeSpan.FromMinutes(2),
                // Whoever leaves a stream wants the model to stop, not the rest of the answer.
                MaxResponseDrainSize = 0,
                UseCookies = false,
                UseProxy = false,
            })
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan)
            // Its requests are the caller's, which telemetry and the books tell of.
            .RemoveAllLoggers()
            // The way of a call: in the books, then past the cache, then with the proxy's accounts.
            .AddHttpMessageHandler<UsageHandler>()
            .AddHttpMessageHandler<ResponseCacheHandler>()
            .AddHttpMessageHandler<MeterHandler>();
        builder.Services.AddResponseCache();
        builder.Services.AddSingleton<InferenceClient>();
        builder.Services.AddHealthChecks().AddCheck<InferenceHealthCheck>("inference", failureStatus: HealthStatus.Unhealthy);
        return builder;
    }

    private sealed class OptionsValidator : IValidateOptions<InferenceOptions>
    {
        public ValidateOptionsResult Validate(string? name, InferenceOptions options) =>
            options.Problems().ToArray() is { Length: > 0 } problems ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
    }
}
