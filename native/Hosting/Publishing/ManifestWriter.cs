using System.Text.Json;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Publishing;

/// <summary>
/// Writes the resources in the order they were added, then those that only others refer to, then strings that had to be encoded, then
/// conditional values.
/// </summary>
internal sealed class ManifestWriter(Utf8JsonWriter json, DistributedApplicationExecutionContext executionContext, string directory)
{
    private readonly ManifestReferences _references = new();
    private readonly ManifestPorts _ports = new();

    public async Task WriteAsync(DistributedApplicationModel model, CancellationToken cancellationToken)
    {
        json.WriteStartObject();
        json.WriteStartObject("resources");

        foreach (var resource in model.Resources)
            await WriteResourceAsync(resource, cancellationToken).ConfigureAwait(false);

        foreach (var resource in _references.Resources.Except(model.Resources).ToArray())
            await WriteResourceAsync(resource, cancellationToken).ConfigureAwait(false);

        foreach (var (parameter, format) in _references.TakeEncodings())
            WriteEncoding(parameter, format);

        foreach (var conditional in _references.Conditionals)
        {
            json.WriteStartObject(conditional.Name!);
            json.WriteString("type", "value.v0");
            json.WriteString("connectionString", await conditional.GetValueAsync(cancellationToken).ConfigureAwait(false) ?? "");
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndObject();
        await json.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task WriteResourceAsync(IResource resource, CancellationToken cancellationToken)
    {
        // Neither deployed nor addressed by name: its users carry its URL.
        if (resource is ExternalServiceResource)
            return;

        json.WriteStartObject(resource.Name);
        switch (resource)
        {
            case ContainerResource container:
                await WriteContainerAsync(container, cancellationToken).ConfigureAwait(false);
                break;
            case ProjectResource project:
                await WriteProjectAsync(project, cancellationToken).ConfigureAwait(false);
                break;
            case ParameterResource parameter:
                WriteParameter(parameter);
                break;
            case IResourceWithConnectionString value:
                json.WriteString("type", "value.v0");
                WriteConnectionString(value);
                break;
            default:
                json.WriteString("error", "This resource does not support generation in the manifest.");
                break;
        }

        json.WriteEndObject();
        foreach (var (parameter, format) in _references.TakeEncodings(resource as ParameterResource))
            WriteEncoding(parameter, format);
    }

    private async Task WriteContainerAsync(ContainerResource container, CancellationToken cancellationToken)
    {
        if (!container.TryGetLastAnnotation<ContainerImageAnnotation>(out var image))
            throw new DistributedApplicationException($"Could not get the container image name for resource '{container.Name}'.");

        json.WriteString("type", "container.v0");
        WriteConnectionString(container as IResourceWithConnectionString);
        json.WriteString("image", ImageName(image));
        if (container.Entrypoint is not null)
            json.WriteString("entrypoint", container.Entrypoint);

        await WriteArgumentsAsync(container, cancellationToken).ConfigureAwait(false);
        WriteMounts(container);
        await WriteEnvironmentAsync(container, cancellationToken).ConfigureAwait(false);
        WriteBindings(container);
    }

    private async Task WriteProjectAsync(ProjectResource project, CancellationToken cancellationToken)
    {
        var metadata = project.Annotations.OfType<IProjectMetadata>().LastOrDefault()
            ?? throw new DistributedApplicationException($"Project metadata was not found for resource '{project.Name}'.");

        json.WriteString("type", "project.v0");
        json.WriteString("path", RelativePath(metadata.ProjectPath));
        await WriteArgumentsAsync(project, cancellationToken).ConfigureAwait(false);
        await WriteEnvironmentAsync(project, cancellationToken).ConfigureAwait(false);
        WriteBindings(project);
    }

    private void WriteParameter(ParameterResource parameter)
    {
        json.WriteString("type", "parameter.v0");
        if (parameter.IsConnectionString)
            json.WriteString("connectionString", parameter.ValueExpression);

        json.WriteString("value", $"{{{parameter.Name}.inputs.value}}");
        json.WriteStartObject("inputs");
        json.WriteStartObject("value");
        json.WriteString("type", "string");
        if (parameter.Secret)
            json.WriteBoolean("secret", true);

        if (parameter.Default is not null)
        {
            json.WriteStartObject("default");
            ManifestParameterDefault.Write(json, parameter.Default);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private void WriteEncoding(ParameterResource parameter, string format)
    {
        json.WriteStartObject(ManifestReferences.EncodingName(parameter, format));
        json.WriteString("type", "annotated.string");
        json.WriteString("value", parameter.ValueExpression);
        json.WriteString("filter", format);
        json.WriteEndObject();
    }

    private void WriteConnectionString(IResourceWithConnectionString? resource)
    {
        if (resource?.ConnectionStringExpression is not { } connectionString)
            return;

        _references.Add(connectionString);
        json.WriteString("connectionString", connectionString.ValueExpression);
    }

    private async Task WriteArgumentsAsync(IResource resource, CancellationToken cancellationToken)
    {
        var arguments = await ResourceConfiguration.ArgumentsAsync(resource, executionContext, cancellationToken).ConfigureAwait(false);
        if (arguments.Count == 0)
            return;

        json.WriteStartArray("args");
        foreach (var argument in arguments)
        {
            json.WriteStringValue(ResourceConfiguration.Expression(argument, resource));
            _references.Add(argument);
        }

        json.WriteEndArray();
    }

    private async Task WriteEnvironmentAsync(IResource resource, CancellationToken cancellationToken)
    {
        var variables = await ResourceConfiguration.EnvironmentAsync(resource, executionContext, cancellationToken).ConfigureAwait(false);
        if (variables.Count == 0)
            return;

        json.WriteStartObject("env");
        foreach (var (name, value) in variables)
        {
            json.WriteString(name, ResourceConfiguration.Expression(value, resource));
            _references.Add(value);
        }

        json.WriteEndObject();
    }

    private void WriteMounts(ContainerResource container)
    {
        WriteMounts("bindMounts", ContainerMountType.BindMount, mount =>
        {
            json.WriteString("source", RelativePath(mount.Source!));
            json.WriteString("target", mount.Target.Replace('\\', '/'));
        });
        WriteMounts("volumes", ContainerMountType.Volume, mount =>
        {
            // An anonymous volume has no name.
            if (mount.Source is not null)
                json.WriteString("name", mount.Source);
            json.WriteString("target", mount.Target);
        });

        void WriteMounts(string property, ContainerMountType type, Action<ContainerMountAnnotation> write)
        {
            var mounts = container.Annotations.OfType<ContainerMountAnnotation>().Where(mount => mount.Type == type).ToArray();
            if (mounts.Length == 0)
                return;

            json.WriteStartArray(property);
            foreach (var mount in mounts)
            {
                json.WriteStartObject();
                write(mount);
                json.WriteBoolean("readOnly", mount.IsReadOnly);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }
    }

    private void WriteBindings(IResource resource)
    {
        var bindings = _ports.Resolve(resource);
        if (bindings.Count == 0)
            return;

        json.WriteStartObject("bindings");
        foreach (var (endpoint, port, targetPort) in bindings)
        {
            json.WriteStartObject(endpoint.Name);
            json.WriteString("scheme", endpoint.UriScheme);
            json.WriteString("protocol", endpoint.Protocol == System.Net.Sockets.ProtocolType.Udp ? "udp" : "tcp");
            json.WriteString("transport", endpoint.Transport);
            if (port is { } exposed)
                json.WriteNumber("port", exposed);
            if (targetPort is { } target)
                json.WriteNumber("targetPort", target);
            if (endpoint.IsExternal)
                json.WriteBoolean("external", true);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static string ImageName(ContainerImageAnnotation image)
    {
        var registry = string.IsNullOrEmpty(image.Registry) ? "" : $"{image.Registry}/";
        var version = string.IsNullOrEmpty(image.SHA256)
            ? string.IsNullOrEmpty(image.Tag) ? "" : $":{image.Tag}"
            : $"@sha256:{image.SHA256}";
        return $"{registry}{image.Image}{version}";
    }

    private string RelativePath(string path) => Path.GetRelativePath(directory, path).Replace('\\', '/');
}
