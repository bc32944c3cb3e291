namespace ValueCanvas.Tests.Client;

/// <summary>native/README.md lists every name of Aspire's that we use, so that each was looked up in Aspire's API listings once.</summary>
public sealed class AspireNamesTests
{
    private const string Listed =
        "Look each up in the api/ listing of its library in microsoft/aspire (13.5, link in native/README.md): same receiver, generics, "
        + "parameters and defaults. Then correct the table in native/README.md. ";

    [Fact]
    public void Readme_NamesThatOurAssembliesUse_AreAllListedAndNoOther()
    {
        var assemblies = Directory.GetFiles(AppContext.BaseDirectory, "ValueCanvas.*.dll");
        Assert.Contains(assemblies, path => Path.GetFileName(path) == "ValueCanvas.AppHost.dll");
        var used = AspireNames.UsedBy(assemblies);
        var listed = ListedNames().ToHashSet();

        var missing = used.Where(name => !listed.Contains(name)).Select(Row).ToArray();
        var unused = listed.Where(name => !used.Contains(name)).ToArray();
        Assert.True(
            missing.Length + unused.Length == 0,
            $"{Listed}\nUsed and not listed:\n{string.Join('\n', missing)}\nListed and not used:\n{string.Join('\n', unused)}");
    }

    /// <summary>Rows have the form <c>| `Type` | `member` | where |</c>; a type that only stands as an argument has no member.</summary>
    private static IEnumerable<string> ListedNames()
        => from line in File.ReadLines(Path.Combine(AppHost.PublishedManifest.Root, "native", "README.md"))
               .SkipWhile(line => !line.StartsWith("| Type | Member |", StringComparison.Ordinal)).Skip(2)
           where line.StartsWith("| `", StringComparison.Ordinal)
           let cells = line.Split(" | ")
           let type = cells[0].Trim('|', ' ', '`')
           let member = cells[1].Trim(' ', '`')
           select member.Length == 0 ? type : $"{type}: {member}";

    private static string Row(string name)
    {
        var parts = name.Split(": ", 2);
        return parts.Length == 1 ? $"| `{parts[0]}` |  | ? |" : $"| `{parts[0]}` | `{parts[1]}` | ? |";
    }
}
