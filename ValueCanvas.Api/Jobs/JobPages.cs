using System.Globalization;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Api.Jobs;

/// <summary>Pages of jobs, newest first.</summary>
internal static class JobPages
{
    public static async Task<JobPage> ReadAsync(
        JobStore jobs, Guid tenantId, JobFilter filter, string? limit, string? cursor, CancellationToken cancellationToken)
    {
        var size = PageLimit.Read(limit);
        var rows = await jobs.ListAsync(tenantId, filter, ReadCursor(cursor), size + 1, cancellationToken) ?? throw UnknownCursor();
        var items = rows.Take(size).Select(job => JobData.From(job)).ToArray();
        return new JobPage(items, rows.Count > size ? items[^1].JobId.ToString() : null);
    }

    private static Guid? ReadCursor(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        return Guid.TryParse(text, CultureInfo.InvariantCulture, out var after) ? after : throw UnknownCursor();
    }

    private static RequestException UnknownCursor() =>
        RequestException.Invalid("cursor", "must be the nextCursor of an earlier page, unchanged");
}
