using System.Globalization;
using System.Text.Json;

namespace ValueCanvas.VllmSimulator.Generation.Schemas;

/// <summary>Numbers inside their bounds.</summary>
internal sealed class NumberValues(ulong variant)
{
    public void Write(Utf8JsonWriter json, SchemaView view, Place place, bool whole)
    {
        var step = Bound(view, "multipleOf", largest: true) ?? (whole ? 1 : 0.01m);
        if (step <= 0)
            throw new UnsupportedSchemaException("The schema's multipleOf must be more than 0.");
        if (whole && step % 1 != 0)
            step = Math.Ceiling(step) % step == 0 ? Math.Ceiling(step) : step * 10_000;

        var low = Bound(view, "minimum", largest: true);
        var high = Bound(view, "maximum", largest: false);
        if (Exclusive(view, "exclusiveMinimum", low) is { } above && (low is null || above >= low))
            low = Smaller(above, high ?? Bound(view, "exclusiveMaximum", largest: false), ref step, whole);
        if (Exclusive(view, "exclusiveMaximum", high) is { } below && (high is null || below <= high))
            high = below - Fine(low, below, ref step, whole);

        var first = low is null ? null : (decimal?)(Math.Ceiling(low.Value / step) * step);
        var last = high is null ? null : (decimal?)(Math.Floor(high.Value / step) * step);
        var value = (first, last) switch
        {
            ({ } from, { } to) when from > to => throw new UnsupportedSchemaException("No number lies within a minimum and maximum of the schema."),
            ({ } from, { } to) => from + Math.Floor((to - from) / step * Fraction(place)) * step,
            ({ } from, null) => from + place.Index * step,
            (null, { } to) => to - place.Index * step,
            _ => Math.Ceiling((whole ? 3 : 2.5m) / step) * step + place.Index * step,
        };
        json.WriteRawValue(value.ToString(whole ? "0" : "0.############", CultureInfo.InvariantCulture));
    }

    // Items of one list spread over the range one by one, so that they differ.
    private decimal Fraction(Place place) => ((variant % 7 + (ulong)place.Name.Length) % 5 * 0.13m + place.Index * 0.07m) % 1m;

    private static decimal Smaller(decimal above, decimal? high, ref decimal step, bool whole) => above + Fine(above, high, ref step, whole);

    // A distance from an exclusive bound that still leaves room before the other one.
    private static decimal Fine(decimal? low, decimal? high, ref decimal step, bool whole)
    {
        if (whole || low is null || high is null || high - low > step)
            return step;
        step = Math.Max((high.Value - low.Value) / 4, 0.0000000001m);
        return step;
    }

    private static decimal? Exclusive(SchemaView view, string keyword, decimal? inclusive) => view.TryGet(keyword, out var value) switch
    {
        true when value.ValueKind == JsonValueKind.True => inclusive,
        true when value.ValueKind == JsonValueKind.Number => Bound(view, keyword, largest: keyword == "exclusiveMinimum"),
        _ => null,
    };

    private static decimal? Bound(SchemaView view, string keyword, bool largest)
    {
        decimal? result = null;
        foreach (var value in view.All(keyword))
        {
            if (value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var number) && Math.Abs(number) < 1e15m)
                result = result is null ? number : largest ? Math.Max(result.Value, number) : Math.Min(result.Value, number);
        }
        return result;
    }
}
