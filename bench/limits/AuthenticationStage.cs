using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.ApiKeys;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Protection;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Core.Secrets;
using ValueCanvas.Core.Database;

namespace ValueCanvas.LimitsBench;

/// <summary>What the part of a request costs that finds out who calls, for a key and a token that were seen before.</summary>
internal static class AuthenticationStage
{
    public static async Task<JsonArray> RunAsync(double seconds, CancellationToken cancellationToken)
    {
        await using var database = await Database.StartAsync(cancellationToken);
        await using var api = Api(database.App);
        var (tenant, user, session) = await database.SignInAsync(cancellationToken);
        var token = await api.Services.GetRequiredService<AccessTokens>().IssueAsync(user, tenant, session, cancellationToken);
        var key = ApiKeyText.Create(ApiKeyText.Live);
        await api.Services.GetRequiredService<ApiKeyStore>().TryAddAsync(
            tenant,
            new(Guid.NewGuid(), user, "A key", ApiKeyText.Live, ["llm"], null, null, null, TimeProvider.System.GetUtcNow(), null, null,
                ApiKeyText.PrefixOf(key), null),
            key,
            limit: 10,
            (_, _) => Task.CompletedTask,
            cancellationToken);

        var middleware = ActivatorUtilities.CreateInstance<CallerAuthentication>(api.Services, (RequestDelegate)(_ => Task.CompletedTask));
        return
        [
            await MeasureAsync("API key", key, middleware, seconds),
            await MeasureAsync("access token (ES256)", token.Text, middleware, seconds),
        ];
    }

    private static async Task<JsonObject> MeasureAsync(string name, string credential, CallerAuthentication middleware, double seconds)
    {
        var context = new DefaultHttpContext();
        context.Request.Headers.Authorization = $"Bearer {credential}";
        await RunAsync(Math.Min(2, seconds / 2)); // warm
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var started = Stopwatch.GetTimestamp();
        var times = await RunAsync(seconds);
        var elapsed = Stopwatch.GetElapsedTime(started);
        return new JsonObject
        {
            ["credential"] = name,
            ["requests"] = times.Count,
            ["mean_us"] = Math.Round(elapsed.TotalMicroseconds / times.Count, 2),
            ["bytes"] = (GC.GetAllocatedBytesForCurrentThread() - allocated) / times.Count,
            ["times"] = Latencies.Merge([times]).ToJson(),
        };

        async Task<Latencies> RunAsync(double time)
        {
            // Room for all of them, so that none pays for it.
            var taken = new Latencies((int)(time * 2_000_000));
            var begun = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(begun).TotalSeconds < time)
            {
                context.Features.Set<Caller>(null);
                var asked = Stopwatch.GetTimestamp();
                await middleware.InvokeAsync(context);
                taken.Add(Stopwatch.GetElapsedTime(asked));
            }

            return Caller.Find(context) is not null ? taken : throw new InvalidOperationException("Nobody was recognised.");
        }
    }

    // As the Api builds them; nothing is started.
    private static WebApplication Api(string database)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration["ConnectionStrings:valuecanvas"] =
            new NpgsqlConnectionStringBuilder(database) { Pooling = true }.ConnectionString;
        builder.Configuration["Accounts:SecretKey"] = "a-secret-of-the-benchmark-that-is-long-enough";
        builder.AddValueCanvasDatabase(interactive: true);
        builder.Services.AddSecrets();
        builder.Services.AddProtection();
        builder.Services.AddAudit();
        builder.Services.AddAccounts();
        builder.Services.AddApiKeys();
        builder.Services.AddCallers();
        builder.Services.AddFirstStart();
        builder.Services.AddRateLimiting();
        return builder.Build();
    }
}
