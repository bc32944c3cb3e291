using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>
/// The replicas and settings that requests are served with now. A reload of the configuration swaps them as a whole; replicas that stay
/// keep their state, requests under way keep the replica they are on, and a configuration that makes no sense is refused and changes nothing.
/// </summary>
internal sealed partial class Fleet : IDisposable
{
    private readonly IOptionsFactory<InferenceOptions> _options;
    private readonly IConfiguration _configuration;
    private readonly TimeProvider _time;
    private readonly ILogger<Fleet> _logger;
    private readonly IDisposable _reload;
    private Topology _current;

    public Fleet(IOptionsFactory<InferenceOptions> options, IConfiguration configuration, TimeProvider time, ILogger<Fleet> logger)
    {
        (_options, _configuration, _time, _logger) = (options, configuration, time, logger);
        _current = Build(null);
        _reload = ChangeToken.OnChange(configuration.GetReloadToken, Reload);
    }

    public Topology Current => Volatile.Read(ref _current);

    public void Dispose() => _reload.Dispose();

    private void Reload()
    {
        try
        {
            var next = Build(Current);
            foreach (var replica in next.Replicas)
            {
                replica.Adopt(next.Upstreams[replica.Provider]);
            }

            Volatile.Write(ref _current, next);
            Log.Reloaded(_logger, next.Replicas.Length);
        }
        catch (OptionsValidationException e)
        {
            Log.ReloadRefused(_logger, e.Message);
        }
        catch (InvalidOperationException e)
        {
            Log.ReloadRefused(_logger, e.Message);
        }
    }

    private Topology Build(Topology? before)
    {
        var options = _options.Create(Options.DefaultName);
        var replicas = new List<Replica>();
        var upstreams = options.Providers.ToDictionary(
            p => p.Key,
            p => Upstream.From(p.Key, p.Value, ModelRoutes.Targeted(options, p.Key), before?.Upstreams.GetValueOrDefault(p.Key), _time),
            StringComparer.OrdinalIgnoreCase);
        foreach (var (provider, settings) in options.Providers)
        {
            foreach (var (host, address) in settings.Endpoints.SelectMany(endpoint => EndpointAddresses.Resolve(_configuration, endpoint)))
            {
                var taken = replicas.Find(r => r.Name == host);
                var name = taken is null ? host : $"{provider}/{host}"; // two accounts at one address
                if (taken?.Provider == provider || replicas.Exists(r => r.Name == name))
                {
                    throw new InvalidOperationException($"Inference:Providers:{provider}:Endpoints names {host} twice.");
                }

                var upstream = upstreams[provider];
                var kept = before is null ? null : Array.Find(before.Replicas,
                    r => r.Provider == upstream.Name && r.Name == name && r.Address == address && r.Upstream.Kind == upstream.Kind);
                replicas.Add(kept ?? new Replica(upstream, name, address, _time));
            }
        }

        var aliases = new ModelAliases(options);
        return new Topology(options, [.. replicas], aliases, new ModelRoutes(options, [.. replicas], aliases), upstreams);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Configuration reloaded: {Replicas} replicas")]
        public static partial void Reloaded(ILogger logger, int replicas);

        [LoggerMessage(LogLevel.Error, "The new configuration is refused and the old one stays: {Reason}")]
        public static partial void ReloadRefused(ILogger logger, string reason);
    }
}

/// <summary>One consistent picture of settings, replicas, aliases and routes.</summary>
internal sealed record Topology(
    InferenceOptions Options, Replica[] Replicas, ModelAliases Aliases, ModelRoutes Routes, IReadOnlyDictionary<string, Upstream> Upstreams);
