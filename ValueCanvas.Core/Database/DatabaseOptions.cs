namespace ValueCanvas.Core.Database;

/// <summary>Configuration section <c>Database</c>: the connections to PostgreSQL. What the connection string sets wins.</summary>
internal sealed class DatabaseOptions
{
    public const string Section = "Database";

    /// <summary>Connections that are kept open once they were needed; unset: 10, in production 20.</summary>
    public int? PoolSize { get; set; }

    /// <summary>Further ones under load, which are closed again; unset: 20, in production 40.</summary>
    public int? PoolOverflow { get; set; }

    /// <summary>
    /// To a connection, new or of the pool; after it the database counts as away. Unset: 2 s where people wait, else 5 s. Whole seconds.
    /// </summary>
    public TimeSpan? ConnectTimeout { get; set; }

    /// <summary>Of one statement; unset: 2 s where people wait, else 30 s. Whole seconds.</summary>
    public TimeSpan? CommandTimeout { get; set; }

    /// <summary>A connection that is older is replaced, so that a server that moved is found again.</summary>
    public TimeSpan ConnectionLifetime { get; set; } = TimeSpan.FromHours(1);

    /// <summary>A statement that takes longer is logged, without the values of its parameters.</summary>
    public TimeSpan SlowQuery { get; set; } = TimeSpan.FromMilliseconds(500);

    internal IEnumerable<string> Problems()
    {
        if (PoolSize is < 1 or > MaxConnections)
            yield return $"{Section}:{nameof(PoolSize)} is {PoolSize}; it must be between 1 and {MaxConnections}.";
        if (PoolOverflow is < 0 or > MaxConnections)
            yield return $"{Section}:{nameof(PoolOverflow)} is {PoolOverflow}; it must be between 0 and {MaxConnections}.";
        (string Name, TimeSpan? Value)[] times =
        [
            (nameof(ConnectTimeout), ConnectTimeout), (nameof(CommandTimeout), CommandTimeout),
            (nameof(ConnectionLifetime), ConnectionLifetime),
        ];
        foreach (var (name, value) in times)
        {
            if (value is { } time && (time < TimeSpan.FromSeconds(1) || time > TimeSpan.FromDays(1)))
                yield return $"{Section}:{name} is {time}; give a time from a second to a day, such as 00:00:05.";
        }

        if (SlowQuery <= TimeSpan.Zero)
            yield return $"{Section}:{nameof(SlowQuery)} is {SlowQuery}; it must be positive, such as 00:00:00.5.";
    }

    private const int MaxConnections = 1000;
}
