using ValueCanvas.InferenceProxy.Autoscaling;
using ValueCanvas.InferenceProxy.Batch;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Messages;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;
using ValueCanvas.InferenceProxy.Resilience;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.Services.AddProviders();
builder.Services.AddResilience();
builder.Services.AddForwarding();
builder.Services.AddAutoscaling();
builder.Services.AddBatch();
builder.Services.AddMessages();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapProviderEndpoints();
app.MapDrainEndpoints();
app.MapAutoscaleEndpoints();
app.MapBatchEndpoints();
app.MapMessagesEndpoints();
app.MapResilienceEndpoints();
app.MapInferenceEndpoints();
app.Run();
