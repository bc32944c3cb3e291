using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace ValueCanvas.Tests.Client;

/// <summary>Members as one reads them in an API listing: return type, name, generic and other parameters, nullability, defaults.</summary>
internal static class Signatures
{
    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void", [typeof(object)] = "object", [typeof(string)] = "string", [typeof(bool)] = "bool", [typeof(int)] = "int",
        [typeof(long)] = "long", [typeof(double)] = "double",
    };

    public static string Of(MemberInfo member) => member switch
    {
        Type type => FullName(type),
        ConstructorInfo constructor => $"{FullName(constructor.DeclaringType!)}: new({Parameters(constructor)})",
        MethodInfo { IsSpecialName: true } accessor when PropertyOf(accessor) is { } property =>
            $"{FullName(property.DeclaringType!)}: {Property(property)}",
        MethodInfo method => $"{FullName(method.DeclaringType!)}: {Method(method)}",
        FieldInfo field => $"{FullName(field.DeclaringType!)}: {Name(new NullabilityInfoContext().Create(field))} {field.Name}",
        _ => throw new ArgumentException($"{member} is of an unexpected kind.", nameof(member)),
    };

    private static string FullName(Type type)
    {
        var name = type.IsNested ? $"{FullName(type.DeclaringType!)}.{Simple(type)}" : $"{type.Namespace}.{Simple(type)}";
        return type.IsGenericType
            ? $"{name}<{string.Join(", ", type.GetGenericTypeDefinition().GetGenericArguments().Select(p => p.Name))}>" : name;
    }

    private static string Method(MethodInfo method)
    {
        var generics = method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(p => p.Name))}>" : "";
        var modifier = method.IsStatic && !method.IsDefined(typeof(ExtensionAttribute)) ? "static " : "";
        var result = Name(new NullabilityInfoContext().Create(method.ReturnParameter));
        return $"{modifier}{result} {method.Name}{generics}({Parameters(method)})" + Constraints(method);
    }

    private static string Constraints(MethodInfo method)
    {
        if (!method.IsGenericMethod)
            return "";

        return string.Concat(method.GetGenericArguments().Select(parameter =>
        {
            var attributes = parameter.GenericParameterAttributes;
            List<string> constraints = [.. parameter.GetGenericParameterConstraints().Where(type => type != typeof(ValueType))
                .Select(Name)];
            if (attributes.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint))
                constraints.Insert(0, "class");

            if (attributes.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint))
                constraints.Add("new()");

            return constraints.Count == 0 ? "" : $" where {parameter.Name} : {string.Join(", ", constraints)}";
        }));
    }

    private static string Property(PropertyInfo property)
    {
        var accessors = string.Concat(
            property.GetMethod is { IsPublic: true } ? "get; " : "",
            property.SetMethod is { IsPublic: true } set
                ? set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ? "init; " : "set; "
                : "");
        var modifier = (property.GetMethod ?? property.SetMethod)!.IsStatic ? "static " : "";
        return $"{modifier}{Name(new NullabilityInfoContext().Create(property))} {property.Name} {{ {accessors}}}";
    }

    private static string Parameters(MethodBase method)
    {
        var extension = method.IsDefined(typeof(ExtensionAttribute));
        return string.Join(", ", method.GetParameters().Select((parameter, i) =>
        {
            var modifier = (extension && i == 0 ? "this " : "")
                + (parameter.IsDefined(typeof(ParamArrayAttribute)) ? "params " : "")
                + (parameter.ParameterType.IsByRef ? parameter.IsIn ? "in " : parameter.IsOut ? "out " : "ref " : "");
            return $"{modifier}{Name(new NullabilityInfoContext().Create(parameter))} {parameter.Name}{Default(parameter)}";
        }));
    }

    private static string Default(ParameterInfo parameter)
    {
        if (!parameter.HasDefaultValue)
            return "";

        var isValue = parameter.ParameterType.IsValueType && Nullable.GetUnderlyingType(parameter.ParameterType) is null;
        return parameter.RawDefaultValue switch
        {
            null => isValue ? " = default" : " = null",
            bool value => value ? " = true" : " = false",
            string value => $" = \"{value}\"",
            var value => $" = {Convert.ToString(value, CultureInfo.InvariantCulture)}",
        };
    }

    private static string Name(NullabilityInfo nullability)
    {
        var type = nullability.Type.IsByRef ? nullability.Type.GetElementType()! : nullability.Type;
        if (Nullable.GetUnderlyingType(type) is { } underlying)
            return $"{Name(underlying)}?";

        var mark = !type.IsValueType && !type.IsGenericParameter && nullability.ReadState == NullabilityState.Nullable ? "?" : "";
        if (nullability.ElementType is { } element)
            return $"{Name(element)}[]{mark}";

        return nullability.GenericTypeArguments is { Length: > 0 } arguments
            ? $"{Simple(type)}<{string.Join(", ", arguments.Select(Name))}>{mark}"
            : $"{Name(type)}{mark}";
    }

    private static string Name(Type type)
    {
        if (type.IsByRef)
            return Name(type.GetElementType()!);

        if (Keywords.TryGetValue(type, out var keyword))
            return keyword;

        return type.IsArray ? $"{Name(type.GetElementType()!)}[]"
            : type.IsGenericType ? $"{Simple(type)}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
            : type.Name;
    }

    private static string Simple(Type type) => type.Name.Split('`')[0];

    private static PropertyInfo? PropertyOf(MethodInfo accessor)
        => accessor.DeclaringType!
            .GetProperties(
                BindingFlags.Public | BindingFlags.NonPublic
                | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
            .FirstOrDefault(property => property.GetMethod == accessor || property.SetMethod == accessor);
}
