using System.Globalization;
using System.Text;

namespace ValueCanvas.Api.Usage;

/// <summary>A report as RFC 4180 has it.</summary>
internal static class UsageCsv
{
    public const string ContentType = "text/csv; charset=utf-8; header=present";

    public static string Write(UsageReport report)
    {
        var text = new StringBuilder(
            "day,model,provider,api_key_id,prompt,calls,failed,cached,input_tokens,cached_tokens,output_tokens,reasoning_tokens,cost,"
            + "replica_seconds,replica_cost\r\n");
        foreach (var item in report.Items)
        {
            string?[] fields =
            [
                item.Day?.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), item.Model, item.Provider, item.ApiKeyId?.ToString(),
                    item.Prompt,
                Number(item.Calls), Number(item.Failed), Number(item.Cached), Number(item.InputTokens), Number(item.CachedTokens),
                Number(item.OutputTokens), Number(item.ReasoningTokens), Number(item.Cost), Number(item.ReplicaSeconds),
                    Number(item.ReplicaCost),
            ];
            text.AppendJoin(',', fields.Select(Field)).Append("\r\n");
        }

        return text.ToString();
    }

    private static string Number(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);

    // A spreadsheet takes what begins so for a formula, and models' and prompts' names are not ours.
    private static string Field(string? value)
    {
        if (value is ['=' or '+' or '-' or '@' or '\t' or '\r', ..] && !decimal.TryParse(value, CultureInfo.InvariantCulture, out _))
            value = $"'{value}";
        return value?.AsSpan().IndexOfAny(",\"\r\n") >= 0
            ? $"\"{value.Replace("\"", "\"\"", StringComparison.Ordinal)}\""
            : value ?? "";
    }
}
