using System.Security.Cryptography;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Where a parameter's value comes from when configuration has none.</summary>
public abstract class ParameterDefault
{
    public abstract string GetDefaultValue();
}

/// <summary>A random value of at least <see cref="MinLength"/> characters from the chosen kinds.</summary>
public sealed class GenerateParameterDefault : ParameterDefault
{
    // No characters that people confuse (i, l, o), no special ones that connection strings or URLs would have to quote.
    private const string LowerCharacters = "abcdefghjkmnpqrstuvwxyz";
    private const string UpperCharacters = "ABCDEFGHJKMNPQRSTUVWXYZ";
    private const string NumericCharacters = "0123456789";
    private const string SpecialCharacters = "-_.{}~()*+!";

    public int MinLength { get; set; } = 22;

    public bool Lower { get; set; } = true;

    public bool Upper { get; set; } = true;

    public bool Numeric { get; set; } = true;

    public bool Special { get; set; } = true;

    public int MinLower { get; set; }

    public int MinUpper { get; set; }

    public int MinNumeric { get; set; }

    public int MinSpecial { get; set; }

    public override string GetDefaultValue()
    {
        (bool Wanted, int Min, string Characters)[] kinds =
        [
            (Lower, MinLower, LowerCharacters),
            (Upper, MinUpper, UpperCharacters),
            (Numeric, MinNumeric, NumericCharacters),
            (Special, MinSpecial, SpecialCharacters),
        ];
        var all = string.Concat(kinds.Where(k => k.Wanted).Select(k => k.Characters));
        if (all.Length == 0)
            throw new DistributedApplicationException("A generated parameter needs at least one kind of character.");

        var value = new List<char>(MinLength);
        foreach (var kind in kinds.Where(k => k.Wanted))
            value.AddRange(RandomNumberGenerator.GetItems<char>(kind.Characters, kind.Min));
        if (value.Count < MinLength)
            value.AddRange(RandomNumberGenerator.GetItems<char>(all, MinLength - value.Count));

        var characters = value.ToArray();
        RandomNumberGenerator.Shuffle<char>(characters);
        return new string(characters);
    }
}

/// <summary>A value written in the AppHost that the manifest may show.</summary>
internal sealed class ConstantParameterDefault(Func<string> valueGetter) : ParameterDefault
{
    public override string GetDefaultValue() => valueGetter();
}

/// <summary>Keeps what <paramref name="inner"/> made up, so that the next run uses the same value.</summary>
internal sealed class PersistedParameterDefault(string name, ParameterDefault inner, ParameterStore store) : ParameterDefault
{
    /// <summary>What the manifest describes.</summary>
    public ParameterDefault Inner => inner;

    public override string GetDefaultValue() => store.GetOrAdd($"Parameters:{name}", inner.GetDefaultValue);
}
