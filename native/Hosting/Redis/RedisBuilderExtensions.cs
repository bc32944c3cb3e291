using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Redis;

namespace Aspire.Hosting;

public static class RedisBuilderExtensions
{
    public static IResourceBuilder<RedisResource> AddRedis(this IDistributedApplicationBuilder builder, string name, int? port) =>
        builder.AddRedis(name, port, password: null);

    public static IResourceBuilder<RedisResource> AddRedis(
        this IDistributedApplicationBuilder builder, string name, int? port = null, IResourceBuilder<ParameterResource>? password = null)
    {
        // A password with a comma would end early in a Redis connection string.
        var redis = new RedisResource(
            name,
            password?.Resource
                ?? ParameterResourceBuilderExtensions.CreateDefaultPasswordParameter(builder, $"{name}-password", special: false));

        return builder.AddResource(redis)
            .WithEndpoint(port: port, targetPort: 6379, name: RedisResource.PrimaryEndpointName, scheme: "redis")
            .WithImage("library/redis", "8.6")
            .WithImageRegistry("docker.io")
            .WithEntrypoint("/bin/sh")
            .WithAnnotation(new HealthProbeAnnotation("PING", ct => RedisProbe.CheckAsync(redis, ct)))
            .WithEnvironment(context =>
            {
                if (redis.PasswordParameter is { } parameter)
                    context.EnvironmentVariables["REDIS_PASSWORD"] = parameter;
            })
            .WithArgs(context =>
            {
                List<string> command = ["redis-server"];
                if (redis.PasswordParameter is not null)
                    command.AddRange(["--requirepass", "$REDIS_PASSWORD"]);
                if (redis.TryGetLastAnnotation<RedisPersistenceAnnotation>(out var persistence))
                    command.AddRange(["--save", persistence.Seconds, persistence.Changes]);

                context.Args.Add("-c");
                context.Args.Add(string.Join(' ', command));
            });
    }

    public static IResourceBuilder<RedisResource> WithDataVolume(
        this IResourceBuilder<RedisResource> builder, string? name = null, bool isReadOnly = false)
    {
        builder.WithVolume(name ?? VolumeName.For(builder, "data"), "/data", isReadOnly);
        return isReadOnly ? builder : builder.WithPersistence();
    }

    public static IResourceBuilder<RedisResource> WithPersistence(
        this IResourceBuilder<RedisResource> builder, TimeSpan? interval = null, long keysChangedThreshold = 1) =>
        builder.WithAnnotation(
            new RedisPersistenceAnnotation(interval ?? TimeSpan.FromSeconds(60), keysChangedThreshold),
            ResourceAnnotationMutationBehavior.Replace);

    public static IResourceBuilder<RedisResource> WithHostPort(this IResourceBuilder<RedisResource> builder, int? port) =>
        builder.WithEndpoint(RedisResource.PrimaryEndpointName, e => e.Port = port);

    public static IResourceBuilder<RedisResource> WithPassword(
        this IResourceBuilder<RedisResource> builder, IResourceBuilder<ParameterResource>? password)
    {
        builder.Resource.PasswordParameter = password?.Resource;
        return builder;
    }
}

/// <summary>How often Redis writes its data to disk.</summary>
internal sealed class RedisPersistenceAnnotation(TimeSpan interval, long changes) : IResourceAnnotation
{
    public string Seconds => interval.TotalSeconds.ToString(CultureInfo.InvariantCulture);

    public string Changes => changes.ToString(CultureInfo.InvariantCulture);
}
