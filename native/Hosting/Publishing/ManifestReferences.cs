using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Publishing;

/// <summary>What values in the manifest refer to, and so has to stand in it as well; each once, in the order of first use.</summary>
internal sealed class ManifestReferences
{
    private readonly List<IResource> _resources = [];
    private readonly List<ReferenceExpression> _conditionals = [];
    private readonly List<(ParameterResource Parameter, string Format)> _encodings = [];
    private readonly HashSet<object> _open = new(ReferenceEqualityComparer.Instance);

    public IReadOnlyList<IResource> Resources => _resources;

    /// <summary>Choices that depend on another value, such as TLS; each has a name of its own.</summary>
    public IReadOnlyList<ReferenceExpression> Conditionals => _conditionals;

    public static string EncodingName(ParameterResource parameter, string format) => $"{parameter.Name}-{format}-encoded";

    /// <summary>Hands over the encodings of one parameter (null: none), so that they are written once, right behind it.</summary>
    public IReadOnlyList<(ParameterResource Parameter, string Format)> TakeEncodings(ParameterResource? parameter)
    {
        var taken = _encodings.Where(encoding => encoding.Parameter == parameter).ToArray();
        _encodings.RemoveAll(encoding => encoding.Parameter == parameter);
        return taken;
    }

    /// <summary>Hands over the encodings that are left: of parameters written before something asked for them.</summary>
    public IReadOnlyList<(ParameterResource Parameter, string Format)> TakeEncodings()
    {
        var taken = _encodings.GroupBy(encoding => encoding.Parameter).SelectMany(encodings => encodings).ToArray();
        _encodings.Clear();
        return taken;
    }

    public void Add(object? value)
    {
        if (value is ReferenceExpression expression)
        {
            AddEncodings(expression);
            AddConditionals(expression);
        }

        if (value is IResource resource)
        {
            if (!_resources.Contains(resource))
                _resources.Add(resource);
        }
        else if (value is IValueWithReferences composite && _open.Add(value))
        {
            foreach (var reference in composite.References)
                Add(reference);

            _open.Remove(value);
        }
    }

    private void AddEncodings(ReferenceExpression expression)
    {
        for (var i = 0; i < expression.ValueProviders.Count && i < expression.StringFormats.Count; i++)
        {
            if (expression.StringFormats[i] is not { Length: > 0 } format)
                continue;

            var parameter = expression.ValueProviders[i] switch
            {
                ParameterResource itself => itself,
                ReferenceExpression { Format: "{0}", ValueProviders: [ParameterResource only] } => only,
                _ => null,
            };
            if (parameter is not null && !_encodings.Contains((parameter, format)))
                _encodings.Add((parameter, format));
        }
    }

    private void AddConditionals(ReferenceExpression expression)
    {
        foreach (var conditional in expression.ValueProviders.OfType<ReferenceExpression>().Prepend(expression).Where(e => e.IsConditional))
        {
            if (_conditionals.TrueForAll(known => known.Name != conditional.Name))
                _conditionals.Add(conditional);
        }
    }
}
