using System.Text;
using System.Text.Json;
using ValueCanvas.VllmSimulator.Errors;

namespace ValueCanvas.VllmSimulator.Faults;

internal static class FaultEndpoints
{
    public static IServiceCollection AddFaults(this IServiceCollection services) => services.AddSingleton<FaultInjector>();

    public static void UseFaults(this WebApplication app)
    {
        var injector = app.Services.GetRequiredService<FaultInjector>();
        app.Use(next => context => context.Request.Path.StartsWithSegments("/simulator") ? next(context) : injector.InvokeAsync(context, next));
    }

    /// <summary>POST sets the server-wide fault, DELETE ends it, GET shows it.</summary>
    public static void MapFaultEndpoints(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/simulator/faults", (FaultInjector injector) => Results.Json(injector.Everywhere, FaultJson.Default.Fault));
        routes.MapDelete("/simulator/faults", (FaultInjector injector) =>
        {
            injector.Everywhere = null;
            return Results.NoContent();
        });
        routes.MapPost("/simulator/faults", async (HttpContext context, FaultInjector injector) =>
        {
            var (body, error) = await JsonBody.ReadAsync(context.Request, FaultJson.Default.DictionaryStringJsonElement, context.RequestAborted);
            if (body is not null && Fault.Parse(Flatten(body)) is var (fault, wrong))
            {
                if (fault is not null)
                {
                    injector.Everywhere = fault;
                    await Results.Json(fault, FaultJson.Default.Fault).ExecuteAsync(context);
                    return;
                }
                error = ApiError.BadRequest(wrong!);
            }
            await ErrorWriter.WriteAsync(context.Response, error!, context.RequestAborted);
        });
    }

    // {"status":503,"stall_after":5} or {"fault":"status=503;stall-after=5"}: both say the same.
    private static string Flatten(Dictionary<string, JsonElement> body)
    {
        var text = new StringBuilder();
        foreach (var (name, value) in body)
        {
            if (name == "fault")
                text.Append(value.ToString()).Append(';');
            else if (value.ValueKind != JsonValueKind.Null)
                text.Append(name.Replace('_', '-')).Append('=').Append(value.ToString()).Append(';');
        }
        return text.ToString();
    }
}
