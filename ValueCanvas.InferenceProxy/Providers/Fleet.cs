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
        _current = Build([]);
        _reload = ChangeToken.OnChange(configuration.GetReloadToken, Reload);
    }

    public Topology Current => Volatile.Read(ref _current);

    public void Dispose() => _reload.Dispose();

    private void Reload()
    {
        try
        {
            var next = Build(Current.Replicas);
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

    private Topology Build(Replica[] known)
    {
        var options = _options.Create(Options.DefaultName);
        var replicas = new List<Replica>();
        foreach (var (provider, settings) in options.Providers)
        {
            foreach (var (name, address) in settings.Endpoints.SelectMany(endpoint => EndpointAddresses.Resolve(_configuration, endpoint)))
            {
                if (replicas.Exists(r => r.Name == name))
                {
                    throw new InvalidOperationException($"Inference:Providers:{provider}:Endpoints names {name} twice.");
                }

                var kept = Array.Find(known, r => r.Provider == provider && r.Name == name && r.Address == address);
                replicas.Add(kept ?? new Replica(provider, name, address, _time));
            }
        }

        return new Topology(options, [.. replicas], new ModelAliases(options));
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Configuration reloaded: {Replicas} replicas")]
        public static partial void Reloaded(ILogger logger, int replicas);

        [LoggerMessage(LogLevel.Error, "The new configuration is refused and the old one stays: {Reason}")]
        public static partial void ReloadRefused(ILogger logger, string reason);
    }
}

/// <summary>One consistent picture of settings, replicas and aliases.</summary>
internal sealed record Topology(InferenceOptions Options, Replica[] Replicas, ModelAliases Aliases);
