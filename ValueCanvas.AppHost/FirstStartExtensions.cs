namespace ValueCanvas.AppHost;

internal static class FirstStartExtensions
{
    private const string ApiKey = "VALUECANVAS_BOOTSTRAP_API_KEY";

    /// <summary>
    /// Hands the API the account and the key that the installation begins with. A key that nobody set is generated once and kept
    /// (<c>./run.sh key</c> prints it); a password that nobody set the API makes up and prints.
    /// </summary>
    public static IResourceBuilder<ProjectResource> WithFirstStart(this IResourceBuilder<ProjectResource> api)
    {
        var builder = api.ApplicationBuilder;
        if (Configured(ApiKey) is { Length: > 0 } key)
            builder.Configuration["Parameters:bootstrap-api-key"] = key;
        return api
            .WithEnvironment(
                "VALUECANVAS_BOOTSTRAP_EMAIL",
                builder.AddParameter("bootstrap-email", () => Configured("VALUECANVAS_BOOTSTRAP_EMAIL")))
            .WithEnvironment(
                "VALUECANVAS_BOOTSTRAP_PASSWORD",
                builder.AddParameter("bootstrap-password", () => Configured("VALUECANVAS_BOOTSTRAP_PASSWORD"), secret: true))
            .WithEnvironment(ApiKey, builder.AddGeneratedSecret("bootstrap-api-key"));

        string Configured(string variable) => builder.Configuration[variable] ?? "";
    }
}
