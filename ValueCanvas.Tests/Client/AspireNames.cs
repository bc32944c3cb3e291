using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace ValueCanvas.Tests.Client;

/// <summary>Which of Aspire's public types and members our assemblies use, as the compiler wrote it into them.</summary>
internal static class AspireNames
{
    private static readonly string[] Libraries = ["Aspire.", "Microsoft.Extensions.ServiceDiscovery"];

    /// <summary>
    /// Type names with their used members, each in the form of <see cref="Signatures"/>; a type without members is named alone.
    /// </summary>
    public static SortedSet<string> UsedBy(IEnumerable<string> assemblyPaths)
    {
        var used = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var path in assemblyPaths)
        {
            foreach (var member in MembersUsedBy(path).Where(member => IsAspire(member) && IsVisible(member)))
                used.Add(Signatures.Of(member));
        }

        used.RemoveWhere(name => !name.Contains(": ", StringComparison.Ordinal)
            && used.Any(other => other.StartsWith($"{name}: ", StringComparison.Ordinal)));
        return used;
    }

    private static IEnumerable<MemberInfo> MembersUsedBy(string path)
    {
        var module = Assembly.LoadFrom(path).ManifestModule;
        using var file = new PEReader(File.OpenRead(path));
        var metadata = file.GetMetadataReader();

        foreach (var handle in metadata.TypeReferences.Where(handle => IsAspire(metadata, handle)))
            yield return module.ResolveType(MetadataTokens.GetToken(handle));

        // Generic code refers to its own parameters; which type stands there does not matter for the definition.
        var anything = Enumerable.Repeat(typeof(object), 8).ToArray();
        foreach (var handle in metadata.MemberReferences.Where(handle => IsAspire(metadata, metadata.GetMemberReference(handle).Parent)))
        {
            var member = module.ResolveMember(MetadataTokens.GetToken(handle), anything, anything)!;
            yield return member.Module.ResolveMember(member.MetadataToken)!;
        }
    }

    private static bool IsAspire(MetadataReader metadata, EntityHandle handle) => handle.Kind switch
    {
        HandleKind.TypeReference => metadata.GetTypeReference((TypeReferenceHandle)handle).ResolutionScope switch
        {
            { Kind: HandleKind.AssemblyReference } scope =>
                IsAspire(metadata.GetString(metadata.GetAssemblyReference((AssemblyReferenceHandle)scope).Name)),
            { Kind: HandleKind.TypeReference } outer => IsAspire(metadata, outer),
            _ => false,
        },
        HandleKind.TypeSpecification => IsAspire(metadata, GenericDefinition(metadata, (TypeSpecificationHandle)handle)),
        _ => false,
    };

    /// <summary>The type whose instantiation the specification is; nil for arrays, pointers and type parameters.</summary>
    private static EntityHandle GenericDefinition(MetadataReader metadata, TypeSpecificationHandle handle)
    {
        var signature = metadata.GetBlobReader(metadata.GetTypeSpecification(handle).Signature);
        if (signature.ReadSignatureTypeCode() != SignatureTypeCode.GenericTypeInstance)
            return default;

        signature.ReadByte();
        return signature.ReadTypeHandle();
    }

    private static bool IsAspire(MemberInfo member) => IsAspire(member.Module.Assembly.GetName().Name!);

    private static bool IsAspire(string assembly) => Libraries.Any(library => assembly.StartsWith(library, StringComparison.Ordinal));

    private static bool IsVisible(MemberInfo member) => member switch
    {
        Type type => type.IsVisible,
        MethodBase method => method.DeclaringType!.IsVisible && (method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly),
        FieldInfo field => field.DeclaringType!.IsVisible && field.IsPublic,
        _ => true,
    };
}
