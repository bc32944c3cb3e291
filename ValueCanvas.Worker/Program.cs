using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Database;
using ValueCanvas.Worker.Migration;

// `migrate` runs to completion before any service starts; without it this is a worker of the queue.
if (args is [MigrateCommand.Name, ..])
    return await MigrateCommand.RunAsync(args);

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddValueCanvasDatabase();
builder.AddValueCanvasCache();

var app = builder.Build();
app.MapDefaultEndpoints();
await app.RunAsync();
return 0;
