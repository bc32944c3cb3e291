using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Numerics;

namespace ValueCanvas.Core.Jobs.Schedules;

/// <summary>
/// A time pattern of five fields, as crontab(5) has it: minute, hour, day of the month, month, day of the week; each <c>*</c>, a number, a
/// range, a list of those, with steps (<c>*/15</c>, <c>8-18/2</c>), months and weekdays also by name. Where both days are given, either
/// counts.
/// </summary>
public sealed class CronExpression
{
    private static readonly string[] Months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    private static readonly string[] Weekdays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

    private readonly ulong _minutes;
    private readonly ulong _hours;
    private readonly ulong _days;
    private readonly ulong _months;
    private readonly ulong _weekdays;
    private readonly bool _eitherDay;

    private CronExpression(ulong minutes, ulong hours, ulong days, ulong months, ulong weekdays, bool eitherDay) =>
        (_minutes, _hours, _days, _months, _weekdays, _eitherDay) = (minutes, hours, days, months, weekdays, eitherDay);

    public static bool TryParse(string text, [NotNullWhen(true)] out CronExpression? cron)
    {
        cron = null;
        if (text.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [var minute, var hour, var day, var month, var weekday]
            || !TryField(minute, 0, 59, [], 0, out var minutes)
            || !TryField(hour, 0, 23, [], 0, out var hours)
            || !TryField(day, 1, 31, [], 0, out var days)
            || !TryField(month, 1, 12, Months, 1, out var months)
            || !TryField(weekday, 0, 7, Weekdays, 0, out var weekdays))
        {
            return false;
        }

        // Sunday is 0 and 7.
        if ((weekdays & (1UL << 7)) != 0)
            weekdays |= 1;
        cron = new(minutes, hours, days, months, weekdays, eitherDay: day[0] != '*' && weekday[0] != '*');
        return true;
    }

    /// <summary>
    /// The next time after <paramref name="after"/>; null where there is none within eight years (30 February). A time that the clocks
    /// skip is as soon as they have been put forward; of one that comes twice the first counts.
    /// </summary>
    public DateTimeOffset? Next(DateTimeOffset after, TimeZoneInfo zone)
    {
        var local = TimeZoneInfo.ConvertTime(after, zone).DateTime;
        var candidate = new DateTime(local.Year, local.Month, local.Day, local.Hour, local.Minute, 0, DateTimeKind.Unspecified);
        var last = candidate.AddYears(8);
        while (NextLocal(candidate, last) is { } found)
        {
            var instant = ToInstant(found, zone);
            if (instant > after)
                return instant;
            candidate = found.AddMinutes(1);
        }

        return null;
    }

    // From the candidate on, itself included.
    private DateTime? NextLocal(DateTime candidate, DateTime last)
    {
        while (candidate <= last)
        {
            if (!Has(_months, candidate.Month))
                candidate = new DateTime(candidate.Year, candidate.Month, 1).AddMonths(1);
            else if (!HasDay(candidate))
                candidate = candidate.Date.AddDays(1);
            else if (!Has(_hours, candidate.Hour))
                candidate = candidate.Date.AddHours(candidate.Hour + 1);
            else if (!Has(_minutes, candidate.Minute))
                candidate = candidate.AddMinutes(1);
            else
                return candidate;
        }

        return null;
    }

    private static DateTimeOffset ToInstant(DateTime local, TimeZoneInfo zone)
    {
        while (zone.IsInvalidTime(local))
            local = local.AddMinutes(1);
        var offset = zone.IsAmbiguousTime(local) ? zone.GetAmbiguousTimeOffsets(local).Max() : zone.GetUtcOffset(local);
        return new DateTimeOffset(local, offset).ToUniversalTime();
    }

    private bool HasDay(DateTime date)
    {
        var ofMonth = Has(_days, date.Day);
        var ofWeek = Has(_weekdays, (int)date.DayOfWeek);
        return _eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek;
    }

    private static bool Has(ulong set, int value) => (set & (1UL << value)) != 0;

    private static bool TryField(string text, int least, int most, string[] names, int firstName, out ulong set)
    {
        set = 0;
        foreach (var part in text.Split(','))
        {
            var step = 1;
            var range = part.Split('/');
            if (range.Length > 2 || (range.Length == 2 && (!TryNumber(range[1], [], 0, out step) || step < 1)))
                return false;
            int from = least, to = most;
            if (range[0] != "*")
            {
                var ends = range[0].Split('-');
                if (ends.Length > 2 || !TryNumber(ends[0], names, firstName, out from) || from < least || from > most)
                    return false;
                if (ends.Length == 2 && (!TryNumber(ends[1], names, firstName, out to) || to < from || to > most))
                    return false;
                // 5/15 means from 5 on; 5 alone is one value.
                if (ends.Length == 1 && range.Length == 1)
                    to = from;
            }

            for (var value = from; value <= to; value += step)
                set |= 1UL << value;
        }

        return BitOperations.PopCount(set) > 0;
    }

    private static bool TryNumber(string text, string[] names, int firstName, out int value)
    {
        var name = Array.FindIndex(names, known => known.Equals(text, StringComparison.OrdinalIgnoreCase));
        value = name + firstName;
        return name >= 0 || (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value <= 99);
    }
}
