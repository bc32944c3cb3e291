using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.ProviderKeys;
using ValueCanvas.Core.Secrets;
using ValueCanvas.Core.Usage;
using ValueCanvas.ServiceDefaults.Caching;
using ValueCanvas.Worker.Execution;
using ValueCanvas.Worker.Maintenance;
using ValueCanvas.Worker.Migration;
using ValueCanvas.Worker.Webhooks;

// `migrate` runs to completion before any service starts; without it this is a worker of the queue.
if (args is [MigrateCommand.Name, ..])
    return await MigrateCommand.RunAsync(args);

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddValueCanvasDatabase();
builder.AddValueCanvasCache();
builder.AddInference();
builder.Services.AddUsage();
builder.Services.AddSecrets(isRequired: false);
builder.Services.AddProviderKeysOfTenants();

builder.Services.AddJobQueue();
builder.Services.AddJobExecution();
builder.Services.AddJobMaintenance();
builder.Services.AddCanvases();
builder.Services.AddJobHandlers();
builder.Services.AddWebhookDelivery();

var app = builder.Build();
app.MapDefaultEndpoints();
await app.RunAsync();
return 0;
