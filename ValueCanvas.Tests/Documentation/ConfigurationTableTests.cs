using System.Collections;
using System.Globalization;
using System.Text.RegularExpressions;
using ValueCanvas.Api.Accounts.OpenIdConnect;
using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.SignIn;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Protection;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Core.Secrets;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Database.Migrations;
using ValueCanvas.Core.Usage;
using ValueCanvas.Core.Webhooks;
using ValueCanvas.ServiceDefaults.Health;
using ValueCanvas.ServiceDefaults.Shutdown;
using ValueCanvas.Tests.AppHost;
using ValueCanvas.Worker.Execution;
using ClientOptions = ValueCanvas.Core.Inference.InferenceOptions;
using ProxyOptions = ValueCanvas.InferenceProxy.Providers.InferenceOptions;

namespace ValueCanvas.Tests.Documentation;

/// <summary>docs/configuration.md names every option that is bound, no other, and its default.</summary>
public sealed partial class ConfigurationTableTests
{
    // Read by hand, not bound: ModelOptions.
    private const string ReadByHand = "Inference:Models:";

    private static readonly Dictionary<string, object?> Options = new[]
    {
        Leaves(ProxyOptions.Section, new ProxyOptions()), Leaves(ClientOptions.Section, new ClientOptions()),
        Leaves(JobWorkerOptions.Section, new JobWorkerOptions()), Leaves(DatabaseRoleOptions.Section, new DatabaseRoleOptions()),
        Leaves(UsageOptions.Section, new UsageOptions()),
        Leaves(DatabaseOptions.Section, new DatabaseOptions()),
        Leaves(WebhookOptions.Section, new WebhookOptions()),
        Leaves(RateLimitingOptions.Section, new RateLimitingOptions()),
        Leaves(ResponseCacheOptions.Section, new ResponseCacheOptions()),
        Leaves(SecretOptions.Section, new SecretOptions()), Leaves(AccountOptions.Section, new AccountOptions()),
        Leaves(TokenOptions.Section, new TokenOptions()),
        Leaves(HashingOptions.Section, new HashingOptions()), Leaves(GuardOptions.Section, new GuardOptions()),
        Leaves(AccountSessionOptions.Section, new AccountSessionOptions()),
        Leaves(AuditOptions.Section, new AuditOptions()), Leaves(ProtectionOptions.Section, new ProtectionOptions()),
        Leaves(HealthOptions.Section, new HealthOptions()), Leaves(ShutdownOptions.Section, new ShutdownOptions()),
    }.SelectMany(leaves => leaves).ToDictionary(leaf => leaf.Key, leaf => leaf.Default);

    private static readonly List<Row> Rows =
    [
        .. File.ReadLines(Path.Combine(PublishedManifest.Root, "docs", "configuration.md")).Select(Row.Of).OfType<Row>(),
    ];

    [Fact]
    public void EveryOption_IsInTheTable() =>
        Assert.Empty(Options.Keys.Except(Rows.SelectMany(row => row.Keys.Concat(row.More))));

    [Fact]
    public void EveryKeyOfTheTable_IsAnOption() =>
        Assert.Empty(Rows.SelectMany(row => row.Keys.Concat(row.More)).Except(Options.Keys));

    [Fact]
    public void EveryDefault_IsWhatTheTableSays()
    {
        var wrong = from row in Rows
                    let defaults = row.Default.Split(", ")
                    from i in Enumerable.Range(0, row.Keys.Length)
                    let value = Options.GetValueOrDefault(row.Keys[i])
                    where value is not (null or IEnumerable and not string) && !IsSaid(value, defaults.ElementAtOrDefault(i) ?? "")
                    select $"{row.Keys[i]} is {value}, not {row.Default}";

        Assert.Empty(wrong);
    }

    /// <summary>The keys under a section with their defaults: NAME stands for a key of a dictionary, N for an index.</summary>
    private static IEnumerable<(string Key, object? Default)> Leaves(string section, object options)
    {
        foreach (var property in options.GetType().GetProperties().Where(property => property.SetMethod is { IsPublic: true }))
        {
            var (key, value) = ($"{section}:{property.Name}", property.GetValue(options));
            var arguments = property.PropertyType.GetGenericArguments();
            if (value is IEnumerable and not string)
            {
                key += value is IDictionary ? ":NAME" : ":N";
                value = arguments[^1] == typeof(string) ? null : Activator.CreateInstance(arguments[^1]);
            }

            if (value?.GetType().Namespace?.StartsWith("ValueCanvas.", StringComparison.Ordinal) == true)
            {
                foreach (var leaf in Leaves(key, value))
                {
                    yield return leaf;
                }
            }
            else
            {
                yield return (key, value);
            }
        }
    }

    private static bool IsSaid(object value, string text) => value switch
    {
        TimeSpan time => Time(text) == time,
        bool yes => text.Trim('`') == (yes ? "true" : "false"),
        string word => word.Length == 0 || text == $"`{word}`",
        _ => text == Convert.ToString(value, CultureInfo.InvariantCulture),
    };

    private static TimeSpan? Time(string text) =>
        text.EndsWith(" ms", StringComparison.Ordinal) ? TimeSpan.FromMilliseconds(double.Parse(text[..^3], CultureInfo.InvariantCulture))
        : text.EndsWith(" s", StringComparison.Ordinal) ? TimeSpan.FromSeconds(double.Parse(text[..^2], CultureInfo.InvariantCulture))
        : TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) ? time
        : null;

    /// <summary>A row about options: its keys, written out; those that its text adds to them; and the default as it stands there.</summary>
    private sealed partial record Row(string[] Keys, string[] More, string Default)
    {
        public static Row? Of(string line)
        {
            var cells = line.Split(" | ");
            if (cells.Length < 3 || Names(cells[0]) is not [var first, ..] names || !IsOption(first))
            {
                return null;
            }

            var parent = first[..first.LastIndexOf(':')];
            return new Row(
                [.. names.Select(name => name.StartsWith(':') ? parent + name : name)],
                [.. Names(cells[2]).Where(name => name.StartsWith(':')).Select(name => parent + name)],
                cells[1]);
        }

        private static bool IsOption(string key) =>
            !key.StartsWith(ReadByHand, StringComparison.Ordinal)
            && Options.Keys.Any(option => option.StartsWith(key[..(key.IndexOf(':') + 1)], StringComparison.Ordinal) && key.Contains(':'));

        private static string[] Names(string cell) => [.. Quoted().Matches(cell).Select(match => match.Groups[1].Value)];

        [GeneratedRegex("`([^`]+)`")]
        private static partial Regex Quoted();
    }
}
