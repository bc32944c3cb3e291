namespace ValueCanvas.AppHost;

internal static class SecretExtensions
{
    /// <summary>A password that is generated once and then kept with the AppHost's secrets, because the database keeps it too.</summary>
    public static IResourceBuilder<ParameterResource> AddGeneratedSecret(this IDistributedApplicationBuilder builder, string name) =>
        builder.AddParameter(name, new GenerateParameterDefault { MinLength = 22, Special = false }, secret: true, persist: true);
}
