using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Publishing;

internal static class ManifestPublisher
{
    public static Task PublishAsync(
        DistributedApplicationModel model, DistributedApplicationExecutionContext executionContext, string outputPath,
        CancellationToken cancellationToken) => throw new NotSupportedException("The manifest publisher is not built in.");
}
