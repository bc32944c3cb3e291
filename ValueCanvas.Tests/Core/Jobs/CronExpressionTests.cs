using System.Globalization;
using ValueCanvas.Core.Jobs.Schedules;

namespace ValueCanvas.Tests.Core.Jobs;

public sealed class CronExpressionTests
{
    [Theory]
    [InlineData("* * * * *", "2026-03-04T10:20:30Z", "2026-03-04T10:21:00Z")]
    [InlineData("*/15 * * * *", "2026-03-04T10:45:00Z", "2026-03-04T11:00:00Z")]
    [InlineData("5/20 * * * *", "2026-03-04T10:06:00Z", "2026-03-04T10:25:00Z")]
    [InlineData("30 6 * * MON-FRI", "2026-03-06T07:00:00Z", "2026-03-09T06:30:00Z")]
    [InlineData("0 0 1 JAN,jul *", "2026-03-04T10:00:00Z", "2026-07-01T00:00:00Z")]
    [InlineData("0 12 29 2 *", "2026-03-04T10:00:00Z", "2028-02-29T12:00:00Z")]
    // Either day counts where both are given.
    [InlineData("0 0 13 * 5", "2026-03-04T00:00:00Z", "2026-03-06T00:00:00Z")]
    [InlineData("0 0 * * 7", "2026-03-04T00:00:00Z", "2026-03-08T00:00:00Z")]
    [InlineData("8-10,40 9-17/4 * * *", "2026-03-04T09:40:00Z", "2026-03-04T13:08:00Z")]
    public void Next_Pattern_IsTheFirstTimeAfter(string cron, string after, string expected) =>
        Assert.Equal(At(expected), Next(cron, after, "UTC"));

    [Theory]
    // The clocks of Berlin go from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October 2026.
    [InlineData("30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z")]
    [InlineData("30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z")]
    [InlineData("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z")]
    [InlineData("30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z")]
    [InlineData("0 9 * * *", "2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z")]
    [InlineData("0 9 * * *", "2026-07-01T00:00:00Z", "2026-07-01T07:00:00Z")]
    public void Next_TimeZoneWithSummerTime_IsByItsClocks(string cron, string after, string expected) =>
        Assert.Equal(At(expected), Next(cron, after, "Europe/Berlin"));

    [Fact]
    public void Next_DayThatNeverComes_IsNone() => Assert.Null(Next("0 0 30 2 *", "2026-03-04T10:00:00Z", "UTC"));

    [Theory]
    [InlineData("")]
    [InlineData("* * * *")]
    [InlineData("* * * * * *")]
    [InlineData("60 * * * *")]
    [InlineData("* 24 * * *")]
    [InlineData("* * 0 * *")]
    [InlineData("* * * 13 *")]
    [InlineData("* * * * 8")]
    [InlineData("*/0 * * * *")]
    [InlineData("5-1 * * * *")]
    [InlineData("1,,2 * * * *")]
    [InlineData("a * * * *")]
    [InlineData("-1 * * * *")]
    [InlineData("1/2/3 * * * *")]
    public void TryParse_NoPattern_IsFalse(string text) => Assert.False(CronExpression.TryParse(text, out _));

    private static DateTimeOffset? Next(string cron, string after, string zone)
    {
        Assert.True(CronExpression.TryParse(cron, out var parsed));
        return parsed.Next(At(after), TimeZoneInfo.FindSystemTimeZoneById(zone));
    }

    private static DateTimeOffset At(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
}
