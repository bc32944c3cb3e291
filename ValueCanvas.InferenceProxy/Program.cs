using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.Services.AddProviders();
builder.Services.AddForwarding();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapProviderEndpoints();
app.MapInferenceEndpoints();
app.Run();
