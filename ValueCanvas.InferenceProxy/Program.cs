using ValueCanvas.InferenceProxy.Autoscaling;
using ValueCanvas.InferenceProxy.Batch;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Hosting;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Telemetry;

var builder = WebApplication.CreateBuilder(args);
builder.UseInlineSockets();
builder.AddServiceDefaults();
builder.Services.AddProviders();
builder.Services.AddResilience();
builder.Services.AddForwarding();
builder.Services.AddLeanMetrics();
builder.Services.AddAutoscaling();
builder.Services.AddBatch();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapProviderEndpoints();
app.MapDrainEndpoints();
app.MapAutoscaleEndpoints();
app.MapBatchEndpoints();
app.MapResilienceEndpoints();
app.MapInferenceEndpoints();
app.Run();
