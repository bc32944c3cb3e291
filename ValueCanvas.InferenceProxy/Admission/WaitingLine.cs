namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>
/// Those who wait for one model. The highest priority goes first; within a priority tenants take turns, however many requests each has; of
/// a tenant the most urgent request goes first. Not thread-safe: its owner holds the lock.
/// </summary>
internal sealed class WaitingLine
{
    private readonly Dictionary<string, SortedSet<Waiter>>[] _tenants = [.. Enum.GetValues<Priority>().Select(_ =>
        new Dictionary<string, SortedSet<Waiter>>(StringComparer.Ordinal))];

    // Who is next, for each priority.
    private readonly LinkedList<string>[] _turns = [.. Enum.GetValues<Priority>().Select(_ => new LinkedList<string>())];

    public int Count { get; private set; }

    public IEnumerable<Waiter> All => _tenants.SelectMany(tenants => tenants.Values).SelectMany(waiters => waiters);

    /// <summary>How many requests of a tenant wait, and how many tenants do.</summary>
    public (int Requests, int Tenants) ShareOf(string tenant) => (
        _tenants.Sum(tenants => tenants.TryGetValue(tenant, out var own) ? own.Count : 0),
        _tenants.SelectMany(tenants => tenants.Keys).Distinct().Count());

    public void Add(Waiter waiter)
    {
        var priority = (int)waiter.Caller.Priority;
        if (!_tenants[priority].TryGetValue(waiter.Caller.Tenant, out var own))
        {
            _tenants[priority].Add(waiter.Caller.Tenant, own = []);
            _turns[priority].AddLast(waiter.Caller.Tenant);
        }

        own.Add(waiter);
        Count++;
    }

    /// <summary>The one whose turn it is; null when nobody waits.</summary>
    public Waiter? Next()
    {
        for (var priority = _turns.Length - 1; priority >= 0; priority--)
        {
            if (_turns[priority].First is { } first)
                return _tenants[priority][first.Value].Min;
        }

        return null;
    }

    /// <summary>The last of those with the lowest priority, of the tenant that has most of them; null unless it is below
    /// <paramref name="priority"/>.</summary>
    public Waiter? Least(Priority priority) =>
        _tenants.Take((int)priority).FirstOrDefault(tenants => tenants.Count > 0)?.Values.MaxBy(own => own.Count)?.Max;

    /// <summary>Takes one out. If it was served, its tenant goes to the end of the turn.</summary>
    public void Remove(Waiter waiter, bool served)
    {
        var (priority, tenant) = ((int)waiter.Caller.Priority, waiter.Caller.Tenant);
        var own = _tenants[priority][tenant];
        own.Remove(waiter);
        waiter.Waits = false;
        Count--;
        if (own.Count == 0)
        {
            _tenants[priority].Remove(tenant);
            _turns[priority].Remove(tenant);
        }
        else if (served)
        {
            _turns[priority].Remove(tenant);
            _turns[priority].AddLast(tenant);
        }
    }
}
