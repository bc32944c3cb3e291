using System.Text.Json;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Publishing;

/// <summary>Writes the application down as a deployment manifest, in the shape and order of Aspire's own publisher.</summary>
internal static class ManifestPublisher
{
    private const string DefaultFileName = "aspire-manifest.json";

    /// <summary>Writes the manifest; a path that does not end in <c>.json</c> is a directory for <c>aspire-manifest.json</c>.</summary>
    public static async Task PublishAsync(
        DistributedApplicationModel model, DistributedApplicationExecutionContext executionContext, string outputPath,
        CancellationToken cancellationToken)
    {
        var path = Path.GetFullPath(
            outputPath.EndsWith(".json", StringComparison.Ordinal) ? outputPath : Path.Combine(outputPath, DefaultFileName));
        var directory = Path.GetDirectoryName(path)!;

        // In memory first: an application that cannot be described leaves the manifest of before.
        using var content = new MemoryStream();
        var json = new Utf8JsonWriter(content, new JsonWriterOptions { Indented = true, NewLine = "\n" });
        await using (json.ConfigureAwait(false))
        {
            await new ManifestWriter(json, executionContext, directory).WriteAsync(model, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            Directory.CreateDirectory(directory);
            await File.WriteAllBytesAsync(path, content.ToArray(), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DistributedApplicationException($"The manifest cannot be written to {path}: {e.Message}", e);
        }

        await Console.Out.WriteLineAsync($"Published manifest to: {path}").ConfigureAwait(false);
    }
}
