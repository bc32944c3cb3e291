using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>
/// The replicas and settings that requests are served with now. A reload of the configuration swaps them as a whole, and so do addresses of
/// hosts that come and go; replicas that stay keep their state, requests under way keep the replica they are on, and a configuration that
/// makes no sense is refused and changes nothing.
/// </summary>
internal sealed partial class Fleet : IDisposable
{
    private readonly IOptionsFactory<InferenceOptions> _options;
    private readonly IConfiguration _configuration;
    private readonly TimeProvider _time;
    private readonly ILogger<Fleet> _logger;
    private readonly IDisposable _reload;
    private readonly Lock _gate = new();
    private Topology _current;

    public Fleet(IOptionsFactory<InferenceOptions> options, IConfiguration configuration, TimeProvider time, ILogger<Fleet> logger)
    {
        (_options, _configuration, _time, _logger) = (options, configuration, time, logger);
        _current = Build(_options.Create(Options.DefaultName), HostAddresses.None, null);
        _reload = ChangeToken.OnChange(configuration.GetReloadToken, Reload);
    }

    public Topology Current => Volatile.Read(ref _current);

    public void Dispose() => _reload.Dispose();

    /// <summary>The topology with these addresses of hosts; null where they are no others.</summary>
    public Topology? With(Topology before, HostAddresses hosts) => hosts == before.Hosts ? null : Build(before.Options, hosts, before);

    /// <summary>Puts one topology in the place of another, unless that is not the current one any more.</summary>
    public bool TryReplace(Topology before, Topology next)
    {
        lock (_gate)
        {
            if (!ReferenceEquals(Current, before))
                return false;

            Replace(next);
            return true;
        }
    }

    private void Reload()
    {
        try
        {
            lock (_gate)
            {
                var next = Build(_options.Create(Options.DefaultName), Current.Hosts, Current);
                foreach (var replica in next.Replicas)
                    replica.Adopt(next.Upstreams[replica.Provider]);

                Replace(next);
            }
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

    private void Replace(Topology next)
    {
        var gone = Current.Replicas.Except(next.Replicas).ToArray();
        Volatile.Write(ref _current, next);
        foreach (var replica in gone)
        {
            replica.Load.Draining = true; // who still knows it sends it nothing new
        }

        Log.Replaced(_logger, next.Replicas.Length, gone.Length);
    }

    private Topology Build(InferenceOptions options, HostAddresses hosts, Topology? before)
    {
        var replicas = new List<Replica>();
        var upstreams = options == before?.Options ? before.Upstreams : options.Providers.ToDictionary(
            p => p.Key,
            p => Upstream.From(p.Key, p.Value, ModelRoutes.Targeted(options, p.Key), before?.Upstreams.GetValueOrDefault(p.Key), _time),
            StringComparer.OrdinalIgnoreCase);
        foreach (var (provider, settings) in options.Providers)
        {
            var upstream = upstreams[provider];
            var fleets = upstream.Kind.IsHosted ? HostAddresses.None : hosts;
            foreach (var server in settings.Endpoints.SelectMany(endpoint => EndpointAddresses.Resolve(_configuration, endpoint, fleets)))
            {
                var taken = replicas.Find(r => r.Name == server.Name);
                var name = taken is null ? server.Name : $"{provider}/{server.Name}"; // two accounts at one address
                if (taken?.Provider == provider || replicas.Exists(r => r.Name == name))
                    throw new InvalidOperationException($"Inference:Providers:{provider}:Endpoints names {server.Name} twice.");

                var kept = before is null ? null : Array.Find(before.Replicas, r => r.Provider == upstream.Name && r.Name == name
                    && r.Address == server.Uri && Equals(r.EndPoint, server.EndPoint) && r.Upstream.Kind == upstream.Kind);
                replicas.Add(kept ?? new Replica(upstream, name, server.Uri, _time, server.EndPoint));
            }
        }

        var aliases = new ModelAliases(options);
        return new Topology(options, [.. replicas], aliases, new ModelRoutes(options, [.. replicas], aliases), upstreams, hosts);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "Configuration or addresses have changed: {Replicas} replicas, {Gone} are gone")]
        public static partial void Replaced(ILogger logger, int replicas, int gone);

        [LoggerMessage(LogLevel.Error, "The new configuration is refused and the old one stays: {Reason}")]
        public static partial void ReloadRefused(ILogger logger, string reason);
    }
}

/// <summary>One consistent picture of settings, replicas, aliases, routes and the addresses of hosts.</summary>
internal sealed record Topology(
    InferenceOptions Options, Replica[] Replicas, ModelAliases Aliases, ModelRoutes Routes, IReadOnlyDictionary<string, Upstream> Upstreams,
    HostAddresses Hosts);
