using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Accounts.Tenants;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.ApiKeys;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Cache;
using ValueCanvas.Api.Canvases;
using ValueCanvas.Api.Chat;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Health;
using ValueCanvas.Api.Jobs;
using ValueCanvas.Api.Messages;
using ValueCanvas.Api.OpenAi;
using ValueCanvas.Api.Protection;
using ValueCanvas.Api.ProviderKeys;
using ValueCanvas.Api.Providers;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Admin;
using ValueCanvas.Api.Responses;
using ValueCanvas.Api.Secrets;
using ValueCanvas.Api.Usage;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage;
using ValueCanvas.ServiceDefaults.Caching;
using ValueCanvas.ServiceDefaults.Health;

// The way of a request: server span → audit → client's address → error handling → checks of path and headers → routing → origins → caller
// and what it may do → cross-site checks → limits → body (limit, JSON, rules) → endpoint → inference, database.

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddValueCanvasDatabase(interactive: true);
builder.AddValueCanvasCache();
builder.AddInference();
builder.Services.AddUsage();
builder.Services.AddCanvases();

builder.Services.AddJsonText();
builder.Services.AddSecrets();
builder.Services.AddAccounts();
builder.Services.AddApiKeys();
builder.Services.AddCallers();
builder.Services.AddFirstStart();
builder.Services.AddProtection();
builder.Services.AddAudit();
builder.Services.AddProviderKeys();
builder.Services.AddCacheEndpoints();
builder.Services.AddChat();
builder.Services.AddProviderStatus();
builder.Services.AddApiHealth();
builder.Services.AddOpenAi();
builder.Services.AddCanvasEndpoints();
builder.Services.AddJobs();
builder.Services.AddRateLimiting();
builder.Services.AddUsageEndpoints();
builder.Services.AddOpenApi();

var app = builder.Build();
app.UseAudit();
app.UseRequestLog();
app.UseProtection();
app.UseErrorHandling();
app.UseRequestChecks();
app.UseRouting();
app.UseOrigins();
app.UseCallers();
app.UseCallerChecks();
app.UseRateLimiting();

app.MapDefaultEndpoints();
app.MapHealthEndpoints("/api/health");
app.MapOpenApi();
app.MapKeySet().AllowAnonymous();

app.MapGroup("/v1").MapOpenAiEndpoints();
app.MapGroup("/v1/messages").MapMessagesEndpoints();
app.MapChat("/generate");
var api = app.MapGroup("/api");
api.MapGroup("/auth").MapAuthEndpoints();
api.MapGroup("/tenants").MapTenantEndpoints();
api.MapGroup("/invitations").MapInvitationAcceptance();
api.MapGroup("/keys").MapApiKeyEndpoints();
api.MapGroup("/llm").MapChatEndpoints();
api.MapGroup("/llm").MapProviderStatusEndpoints();
api.MapGroup("/canvas").MapCanvasEndpoints();
api.MapGroup("/queue").MapJobEndpoints();
api.MapGroup("/audit").MapAuditEndpoints();
api.MapGroup("/provider-keys").MapProviderKeyEndpoints();
api.MapGroup("/cache").MapCacheEndpoints();
api.MapGroup("/admin/limits").MapLimitEndpoints();
api.MapGroup("/admin/cache").MapCacheOperation();
api.MapGroup("/usage").MapUsageEndpoints();
api.MapGroup("/admin/budgets").MapTenantBudgetEndpoints();
api.MapGroup("/admin/prices").MapPriceEndpoints();

app.Run();
