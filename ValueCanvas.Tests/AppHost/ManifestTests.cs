using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace ValueCanvas.Tests.AppHost;

public sealed partial class ManifestTests
{
    private const string Regenerate =
        "aspire-manifest.json is stale. Write it again from the repository's root, with no Vllm or Parameters settings in the environment, "
        + "and commit it:\n    dotnet run --project ValueCanvas.AppHost -- --publisher manifest --output-path aspire-manifest.json";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static JsonObject Resources { get; } = PublishedManifest.Committed()["resources"]!.AsObject();

    [Fact]
    public async Task Manifest_WrittenAgain_IsTheCommittedOne()
    {
        var written = (await PublishedManifest.PublishAsync()).ToJsonString(Indented);

        Assert.True(written == PublishedManifest.Committed().ToJsonString(Indented), $"{Regenerate}\n\nThe AppHost writes:\n{written}");
    }

    [Theory]
    [InlineData("Vllm__Urls__0", "http://10.1.2.3:8000")]
    [InlineData("VALUECANVAS_PORT", "5999")]
    [InlineData("VALUECANVAS_DASHBOARD_PORT", "19999")]
    [InlineData("Parameters__hf-token", "hf_of_the_person_who_publishes")]
    [InlineData("VALUECANVAS_BOOTSTRAP_API_KEY", "key-of-the-person-who-publishes")]
    [InlineData("VALUECANVAS_BOOTSTRAP_PASSWORD", "password-of-the-person-who-publishes")]
    [InlineData("Parameters__app-password", "password-of-the-person-who-publishes")]
    public async Task Manifest_OwnMachineConfigured_IsTheSame(string variable, string value)
    {
        var written = (await PublishedManifest.PublishAsync((variable, value))).ToJsonString(Indented);

        Assert.Equal(PublishedManifest.Committed().ToJsonString(Indented), written);
    }

    [Fact]
    public async Task Manifest_ModelConfigured_DiffersInTheModelParametersDefaultAlone()
    {
        var written = await PublishedManifest.PublishAsync(("Vllm__Model", "org/other-model"));

        var expected = PublishedManifest.Committed();
        expected["resources"]!["vllm-model"]!["inputs"]!["value"]!["default"]!["value"] = "org/other-model";
        Assert.Equal(expected.ToJsonString(Indented), written.ToJsonString(Indented));
    }

    [Fact]
    public async Task Manifest_ThreeReplicasConfigured_HasThreeContainersAndTheProxyKnowsThemAll()
    {
        var resources = (await PublishedManifest.PublishAsync(("Vllm__Replicas", "3")))["resources"]!.AsObject();

        Assert.Equal(["vllm-0", "vllm-1", "vllm-2"], resources.Select(resource => resource.Key).Where(IsModelServer));
        Assert.Equal("http://vllm-2", (string?)resources["inference"]!["env"]!["Inference__Providers__vllm__Endpoints__2"]);
    }

    [Theory]
    [InlineData("cache", "container.v0")]
    [InlineData("postgres", "container.v0")]
    [InlineData("valuecanvas", "value.v0")]
    [InlineData("valuecanvas-app", "value.v0")]
    [InlineData("app-password", "parameter.v0")]
    [InlineData("operator-password", "parameter.v0")]
    [InlineData("internal-key", "parameter.v0")]
    [InlineData("operator-key", "parameter.v0")]
    [InlineData("accounts-key", "parameter.v0")]
    [InlineData("bootstrap-email", "parameter.v0")]
    [InlineData("bootstrap-password", "parameter.v0")]
    [InlineData("bootstrap-api-key", "parameter.v0")]
    [InlineData("migrations", "project.v0")]
    [InlineData("vllm-0", "container.v0")]
    [InlineData("vllm-1", "container.v0")]
    [InlineData("inference", "project.v0")]
    [InlineData("worker", "project.v0")]
    [InlineData("api", "project.v0")]
    public void Manifest_Resource_IsThereWithItsType(string name, string type)
        => Assert.Equal(type, (string?)Resources[name]?["type"]);

    [Fact]
    public void Manifest_NoResource_IsASimulatorOrAnError()
    {
        var text = Resources.ToJsonString();

        Assert.DoesNotContain("simulator", text, StringComparison.OrdinalIgnoreCase);
        Assert.All(Resources, resource => Assert.Null(resource.Value!["error"]));
    }

    [Fact]
    public void Manifest_ModelServers_AreVllmContainersWithModelTokenCacheAndPort()
    {
        var servers = Resources.Where(resource => IsModelServer(resource.Key)).Select(resource => resource.Value!).ToArray();

        Assert.NotEmpty(servers);
        Assert.All(servers, server =>
        {
            Assert.StartsWith("vllm/vllm-openai:v", (string?)server["image"], StringComparison.Ordinal);
            var args = server["args"]!.AsArray().Select(argument => (string?)argument).ToList();
            Assert.Equal("{vllm-model.value}", args[args.IndexOf("--model") + 1]);
            Assert.Equal("{hf-token.value}", (string?)server["env"]!["HF_TOKEN"]);
            Assert.Equal("/root/.cache/huggingface", (string?)Assert.Single(server["volumes"]!.AsArray())!["target"]);
            Assert.Equal(8000, (int?)server["bindings"]!["http"]!["targetPort"]);
        });
    }

    [Fact]
    public void Manifest_EveryBinding_IsWholeAndOnlyTheApiIsExternal()
    {
        var bindings = (
            from resource in Resources
            where resource.Value!["bindings"] is not null
            from binding in resource.Value["bindings"]!.AsObject()
            select (Resource: resource.Key, Name: binding.Key, Value: binding.Value!)).ToArray();

        Assert.All(bindings, binding =>
        {
            Assert.Equal("tcp", (string?)binding.Value["protocol"]);
            Assert.Equal(binding.Name == "tcp" ? "tcp" : "http", (string?)binding.Value["transport"]);
            Assert.Null(binding.Value["port"]);
        });
        Assert.Equal(
            [("api", "http"), ("api", "https")],
            bindings.Where(binding => (bool?)binding.Value["external"] == true).Select(binding => (binding.Resource, binding.Name)));
        Assert.Contains(bindings, binding => binding is { Resource: "worker", Name: "http" });
        Assert.Contains(bindings, binding => binding is { Resource: "inference", Name: "http" });
        Assert.DoesNotContain(bindings, binding => binding.Resource == "migrations");
    }

    [Fact]
    public void Manifest_EveryPlaceholder_NamesSomethingInTheManifest()
    {
        var placeholders = Placeholder().Matches(Resources.ToJsonString()).Select(match => match.Groups[1].Value).Distinct().ToArray();

        Assert.NotEmpty(placeholders);
        Assert.All(placeholders, placeholder =>
        {
            var path = placeholder.Split('.');
            var resource = Resources[path[0]];
            Assert.True(resource is not null, $"{{{placeholder}}}: no resource '{path[0]}'.");
            Assert.True(
                path is [_, "bindings", _, "host" or "port" or "url" or "scheme" or "targetPort"]
                    ? resource["bindings"]?[path[2]] is not null
                    : path[1..] is ["value"] or ["connectionString"] or ["inputs", "value"] && resource[path[1]] is not null,
                $"{{{placeholder}}}: '{path[0]}' has no such part.");
        });
    }

    [Fact]
    public void Manifest_Secrets_CarryNoValue()
    {
        var secrets = Resources
            .Select(resource => resource.Value!["inputs"]?["value"])
            .Where(input => (bool?)input?["secret"] == true)
            .ToArray();

        Assert.NotEmpty(secrets);
        Assert.All(secrets, secret => Assert.Null(secret!["default"]?["value"]));
    }

    [Fact]
    public void Manifest_Services_NeverGetTheSuperusersPassword()
    {
        foreach (var service in new[] { "api", "worker", "inference" })
        {
            var environment = Resources[service]!["env"]!.ToJsonString();

            Assert.DoesNotContain("{postgres-password", environment, StringComparison.Ordinal);
            Assert.DoesNotContain("{valuecanvas.connectionString}", environment, StringComparison.Ordinal);
        }

        Assert.Equal("{valuecanvas-app.connectionString}", (string?)Resources["api"]!["env"]!["ConnectionStrings__valuecanvas"]);
    }

    [Fact]
    public void Manifest_Projects_ArePathsOfThisRepositoryAndMigrationsRunsToCompletion()
    {
        var projects = Resources.Where(resource => (string?)resource.Value!["type"] == "project.v0").ToArray();

        Assert.All(projects, project =>
        {
            var path = (string)project.Value!["path"]!;
            Assert.DoesNotContain('\\', path);
            Assert.True(File.Exists(Path.Combine(PublishedManifest.Root, path)), $"{project.Key}: {path} does not exist.");
        });
        Assert.Equal("migrate", (string?)Assert.Single(Resources["migrations"]!["args"]!.AsArray()));
        Assert.Equal((string?)Resources["worker"]!["path"], (string?)Resources["migrations"]!["path"]);
    }

    private static bool IsModelServer(string name) => ModelServer().IsMatch(name);

    [GeneratedRegex(@"^vllm-\d+$")]
    private static partial Regex ModelServer();

    [GeneratedRegex(@"\{([A-Za-z][A-Za-z0-9.-]+)\}")]
    private static partial Regex Placeholder();
}
