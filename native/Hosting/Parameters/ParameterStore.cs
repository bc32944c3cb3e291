using System.Text.Json;
using System.Text.Json.Nodes;

namespace Aspire.Hosting;

/// <summary>Generated parameters of earlier runs, in a file of the shape of a user-secrets file that only its owner reads.</summary>
internal sealed class ParameterStore(string path)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly Lock _lock = new();

    public static ParameterStore? Of(IDistributedApplicationBuilder builder) => builder.Services
        .FirstOrDefault(s => s.ServiceType == typeof(ParameterStore))?.ImplementationInstance as ParameterStore;

    public string GetOrAdd(string key, Func<string> generate)
    {
        lock (_lock)
        {
            var values = Read();
            if (values[key]?.GetValue<string>() is { } existing)
                return existing;

            var value = generate();
            values[key] = value;
            Write(values);
            return value;
        }
    }

    private JsonObject Read()
    {
        try
        {
            return File.Exists(path) ? JsonNode.Parse(File.ReadAllText(path)) as JsonObject ?? [] : [];
        }
        catch (JsonException e)
        {
            throw new DistributedApplicationException($"The file of generated parameters, {path}, is damaged: {e.Message}", e);
        }
    }

    private void Write(JsonObject values)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = path + ".new";
        File.Delete(temporary);
        using (var stream = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = OwnerOnly,
        }))
        using (var writer = new StreamWriter(stream))
        {
            writer.Write(values.ToJsonString(Indented));
            writer.Flush();
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
    }
}
