using System.Security.Cryptography;
using System.Text;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>A volume's name: application, a hash that tells checkouts apart, resource.</summary>
internal static class VolumeName
{
    public static string For<T>(IResourceBuilder<T> builder, string suffix)
        where T : IResource
    {
        var application = builder.ApplicationBuilder.Environment.ApplicationName;
        var seed = builder.ApplicationBuilder.ExecutionContext.IsPublishMode
            ? $"{application}.csproj"
            : builder.ApplicationBuilder.AppHostDirectory;
#pragma warning disable CA1308 // Volume names are lower case.
        var hash = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(seed))).ToLowerInvariant()[..10];
        var name = new string([.. application.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' ? c : '_')]);
        return $"{name.ToLowerInvariant()}-{hash}-{builder.Resource.Name}-{suffix}";
#pragma warning restore CA1308
    }
}
