using ValueCanvas.InferenceProxy.Autoscaling;
using ValueCanvas.InferenceProxy.Batch;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Operations;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.Services.AddProviders();
builder.Services.AddResilience();
builder.AddOperations();
builder.Services.AddForwarding();
builder.Services.AddAutoscaling();
builder.Services.AddBatch();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapProviderEndpoints();
app.MapOperatorEndpoints();
app.MapAutoscaleEndpoints();
app.MapBatchEndpoints();
app.MapInferenceEndpoints();
app.Run();
