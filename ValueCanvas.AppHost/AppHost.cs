using ValueCanvas.AppHost;

var builder = DistributedApplication.CreateBuilder(args);
builder.MoveDashboard(portVariable: "VALUECANVAS_DASHBOARD_PORT");

// Redis holds only what can be rebuilt, so nothing waits for it.
var cache = builder.AddRedis("cache");
var postgres = builder.AddPostgres("postgres").WithDataVolume();
var database = postgres.AddDatabase("valuecanvas");

// The services connect as a role that row-level security binds; the database's own connection string is the superuser's.
var appPassword = builder.AddGeneratedSecret("app-password");
var operatorPassword = builder.AddGeneratedSecret("operator-password");
var (server, port) = (postgres.Resource.Host, postgres.Resource.Port);
var appDatabase = builder.AddConnectionString("valuecanvas-app", ReferenceExpression.Create(
    $"Host={server};Port={port};Username=valuecanvas_app;Password={appPassword};Database={database.Resource.DatabaseName}"));

var migrations = builder.AddProject<Projects.ValueCanvas_Worker>("migrations")
    .WithArgs("migrate")
    .WithReference(database).WaitFor(database)
    .WithEnvironment("Database__AppPassword", appPassword)
    .WithEnvironment("Database__OperatorPassword", operatorPassword);

// By this the proxy knows Api and Worker, and believes what they say of tenant, priority, deadline and risk.
var internalKey = builder.AddGeneratedSecret("internal-key");

// By this an operator may open, close, reset and drain model servers at the proxy; the Api's operators may reset them.
var operatorKey = builder.AddGeneratedSecret("operator-key");

// From this the Api derives the keys of what it stores sealed or hashed, and the worker opens what is sealed: kept with the data.
var accountsKey = builder.AddGeneratedSecret("accounts-key");

var models = builder.AddModelServers("vllm");

var inference = builder.AddProject<Projects.ValueCanvas_InferenceProxy>("inference")
    .WithHttpEndpoint()
    .WithRollingReplicas(2)
    .WithModelServers(models)
    .WithReference(cache)
    .WithEnvironment("Inference__InternalKey", internalKey)
    .WithEnvironment("Inference__OperatorKey", operatorKey)
    .WithHttpHealthCheck("/health/ready");

builder.AddProject<Projects.ValueCanvas_Worker>("worker")
    .WithHttpEndpoint()
    .WithReplicas(2)
    .WithUsageDirectory()
    .WithReference(appDatabase, connectionName: "valuecanvas").WaitForCompletion(migrations)
    .WithReference(cache)
    .WithReference(inference).WaitFor(inference)
    .WithEnvironment("Inference__InternalKey", internalKey)
    .WithEnvironment("Accounts__SecretKey", accountsKey)
    .WithHttpHealthCheck("/health/ready");

builder.AddProject<Projects.ValueCanvas_Api>("api")
    .WithExternalHttpEndpoints()
    .MoveHttpEndpoint(portVariable: "VALUECANVAS_PORT")
    .WithRollingReplicas(2)
    .WithUsageDirectory()
    .WithReference(appDatabase, connectionName: "valuecanvas").WaitForCompletion(migrations)
    .WithReference(cache)
    .WithReference(inference).WaitFor(inference)
    .WithEnvironment("Inference__InternalKey", internalKey)
    .WithEnvironment("Inference__OperatorKey", operatorKey)
    .WithEnvironment("Accounts__SecretKey", accountsKey)
    .WithFirstStart()
    .WithHttpHealthCheck("/health/ready");

builder.Build().Run();
