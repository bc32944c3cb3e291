using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.Services.AddProviders();
builder.Services.AddResilience();
builder.Services.AddForwarding();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapProviderEndpoints();
app.MapResilienceEndpoints();
app.MapInferenceEndpoints();
app.Run();
