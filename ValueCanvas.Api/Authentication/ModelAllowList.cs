using System.Collections.Frozen;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// The models that a caller may ask, by the names that requests use; a name that ends in <c>*</c> stands for all that begin so. An alias
/// is a name of its own: <c>default</c> is allowed where the list says <c>default</c>.
/// </summary>
internal sealed class ModelAllowList(IReadOnlyCollection<string> names)
{
    private readonly FrozenSet<string> _names = names.Where(name => !name.EndsWith('*')).ToFrozenSet(StringComparer.Ordinal);
    private readonly string[] _prefixes = [.. names.Where(name => name.EndsWith('*')).Select(name => name[..^1])];

    public IReadOnlyCollection<string> Names => names;

    public bool Allows(string model) =>
        _names.Contains(model) || Array.Exists(_prefixes, prefix => model.StartsWith(prefix, StringComparison.Ordinal));

    /// <exception cref="RequestException">403, which names what is allowed.</exception>
    public void Check(string model)
    {
        if (!Allows(model))
            throw Refusals.Model(model, names);
    }
}
