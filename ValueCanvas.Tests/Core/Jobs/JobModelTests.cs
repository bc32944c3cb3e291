using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Api.Jobs;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>
/// Random sequences of what clients, workers and rescuers do, on PostgreSQL and on a model of a dozen lines; after each step both must have
/// answered the same and be in the same state. Workers remember every lease that they ever had, and use old ones as gladly as new ones.
/// </summary>
public sealed class JobModelTests(Infrastructure.ServersFixture servers) : QueueTests(servers)
{
    private const int MaxCrashes = 3;
    private const int Steps = 120;

    private static readonly TimeSpan Long = TimeSpan.FromMinutes(30);
    private static readonly JobError Error = new("some_code", "Some message.");

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Queue_RandomSteps_DoesWhatTheModelDoes(int seed)
    {
        Assert.Null(await FirstDifferenceAsync(seed));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    /// <summary>The test of the test: with one part of the design left out, it must say so.</summary>
    [Theory]
    [InlineData("a completion without the fence")]
    [InlineData("a rescue that does not look at the lease again")]
    [InlineData("a claim that gives the old lease out again")]
    [InlineData("a parent that starts with its first child's end")]
    [InlineData("a parent that ends and leaves its children")]
    public async Task Queue_WithAPartLeftOut_IsFoundOut(string broken)
    {
        await BreakAsync(broken);

        for (var seed = 1; seed <= 10; seed++)
        {
            if (await FirstDifferenceAsync(seed, unfenced: broken.StartsWith("a completion", StringComparison.Ordinal)) is not null)
                return;
        }

        Assert.Fail($"Ten sequences ran over {broken} and found nothing.");
    }

    private async Task<string?> FirstDifferenceAsync(int seed, bool unfenced = false)
    {
        await MigratedDatabase.ExecuteAsync(_database.Admin, "TRUNCATE llm_jobs, llm_job_events CASCADE");
        var random = new Random(seed);
        var leases = _host.Services.GetRequiredService<JobLeases>();
        var store = _host.Services.GetRequiredService<JobStore>();
        var control = new JobControl(_host.Services.GetRequiredService<TenantDatabase>(), store);
        await using var admin = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(_database.Admin) { Pooling = true });
        Dictionary<Guid, Model> model = [];
        List<Job> held = [];
        List<string> done = [];
        for (var step = 0; step < Steps; step++)
        {
            var job = held.Count > 0 ? held[random.Next(held.Count)] : null;
            var (name, expected, actual) = random.Next(16) switch
            {
                <= 2 => await SubmitAsync(),
                13 => await SubmitFamilyAsync(),
                14 when model.Count > 0 => await CancelAsync(model.ElementAt(random.Next(model.Count))),
                <= 5 => await ClaimAsync(),
                6 when job is not null => await WriteAsync("complete", model[job.Id].End(job, "succeeded"), () => CompleteAsync(job)),
                7 when job is not null => await WriteAsync(
                    "fail", model[job.Id].End(job, "failed"), () => leases.FailAsync(job, Error, Cancel)),
                8 when job is not null => await WriteAsync(
                    "retry", model[job.Id].Wait(job, "retryable", 0), () => leases.RetryAsync(job, Error, TimeSpan.Zero, Cancel)),
                9 when job is not null => await WriteAsync(
                    "snooze", model[job.Id].Wait(job, null, 1), () => leases.SnoozeAsync(job, Error, TimeSpan.Zero, Cancel)),
                10 when job is not null => await WriteAsync(
                    "renew", model[job.Id].Renew(job), async () => (await leases.RenewAsync([job], Long, Cancel)).Count == 1),
                11 when job is not null => await LoseAsync(model[job.Id]),
                _ => await RescueAsync(),
            };
            done.Add($"{step} {name} → {actual}");
            if (expected != actual)
                return $"seed {seed}: {done[^1]}, not {expected}";
            if (await StatesAsync() is var states && states != Told())
                return $"seed {seed}: after {done[^1]}\n{states}\nnot\n{Told()}";
        }

        return null;

        async Task<(string, string, string)> SubmitAsync()
        {
            var added = await store.EnqueueAsync(Tenants.Development, "t", null, "{}", Cancel);
            model[added.Id] = new Model();
            return ("submit", "", "");
        }

        async Task<(string, string, string)> SubmitFamilyAsync()
        {
            var policy = ChildFailures.All[random.Next(ChildFailures.All.Count)];
            var parent = new NewJob("t", null, "{}")
            {
                Children = [.. Enumerable.Repeat(new NewJob("t", null, "{}"), random.Next(1, 4))],
                OnChildFailure = policy,
            };
            var added = Assert.IsType<Submission.Accepted>(await store.SubmitAsync(
                Tenants.Development, [parent], null, null, Cancel)).Jobs;
            var head = model[added[0].Id] = Model.OfParent(policy);
            foreach (var child in added.Skip(1))
                model[child.Id] = head.Adopt();
            return ($"family to {policy}", "", "");
        }

        async Task<(string, string, string)> CancelAsync(KeyValuePair<Guid, Model> one)
        {
            var cancelled = await control.CancelAsync(Tenants.Development, one.Key, (_, _) => Task.CompletedTask, Cancel);
            return ("cancel", $"{one.Value.Cancel()}", cancelled!.State.ToName());
        }

        async Task<(string, string, string)> ClaimAsync()
        {
            var most = random.Next(1, 4);
            var waiting = model.Count(pair => pair.Value.IsWaiting);
            var claimed = await leases.ClaimAsync("w", most, Long, Cancel);
            foreach (var one in claimed)
                model[one.Id].Claim();
            held.AddRange(claimed);
            return ("claim", Number(Math.Min(most, waiting)), Number(claimed.Count));
        }

        async Task<(string, string, string)> RescueAsync()
        {
            var lost = model.Values.Where(one => one.IsLost).ToList();
            lost.ForEach(one => one.Rescue());
            lost.ForEach(one => one.Settle());
            return ("rescue", Number(lost.Count), Number((await leases.RescueAsync(100, MaxCrashes, Cancel)).Count));
        }

        async Task<(string, string, string)> LoseAsync(Model one)
        {
            var id = model.First(pair => pair.Value == one).Key;
            await using var command = admin.CreateCommand(
                $"UPDATE llm_jobs SET lease_expires_at = now() - interval '1 s' WHERE id = '{id}' AND state = 'running'");
            await command.ExecuteNonQueryAsync(Cancel);
            one.IsLost = one.State == "running";
            return ("lose", "", "");
        }

        Task<bool> CompleteAsync(Job one) => unfenced ? CompleteUnfencedAsync(one) : leases.CompleteAsync(one, "{}", null, Cancel);

        async Task<bool> CompleteUnfencedAsync(Job one)
        {
            await using var command = admin.CreateCommand(
                $"""
                 UPDATE llm_jobs SET state = 'succeeded', finished_at = now(), lease_expires_at = NULL
                 WHERE id = '{one.Id}' AND state = 'running'
                 """);
            return await command.ExecuteNonQueryAsync(Cancel) > 0;
        }

        static async Task<(string, string, string)> WriteAsync(string name, bool expected, Func<Task<bool>> write) =>
            (name, $"{expected}", $"{await write()}");

        async Task<string> StatesAsync()
        {
            await using var command = admin.CreateCommand(
                """
                SELECT coalesce(
                    string_agg(id || ' ' || state || ' ' || attempt || ' ' || run_lease || ' ' || crash_count, E'\n' ORDER BY id),
                    '')
                FROM llm_jobs
                """);
            return (string)(await command.ExecuteScalarAsync(Cancel))!;
        }

        string Told() => string.Join(
            '\n',
            model.OrderBy(pair => pair.Key, Comparer<Guid>.Create(Compare)).Select(pair => $"{pair.Key} {pair.Value}"));
    }

    /// <summary>Puts what a careless change might make of the functions in their place.</summary>
    private async Task BreakAsync(string broken)
    {
        var name = broken.StartsWith("a claim", StringComparison.Ordinal) ? "claim_llm_jobs"
            : broken.StartsWith("a rescue", StringComparison.Ordinal) ? "rescue_llm_jobs"
            : broken.StartsWith("a parent", StringComparison.Ordinal) ? "settle_llm_job_family" : null;
        if (name is null)
            return;
        var source = await _database.ScalarAsync<string>($"SELECT pg_get_functiondef('{name}'::regproc)");
        var changed = name == "claim_llm_jobs"
            ? source.Replace("run_lease = j.run_lease + 1", "run_lease = greatest(j.run_lease, 1)", StringComparison.Ordinal)
            : name == "rescue_llm_jobs" ? source.Replace("AND j.lease_expires_at < clock_timestamp()", "", StringComparison.Ordinal)
            : broken.Contains("starts", StringComparison.Ordinal)
                ? source.Replace("c.parent_id = NEW.parent_id", "false", StringComparison.Ordinal)
            : source.Replace("IF NEW.on_child_failure IS NOT NULL", "IF false", StringComparison.Ordinal);
        Assert.NotEqual(source, changed);
        await MigratedDatabase.ExecuteAsync(_database.Admin, changed);
    }

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    // As PostgreSQL orders them.
    private static int Compare(Guid left, Guid right) => string.CompareOrdinal(left.ToString(), right.ToString());

    /// <summary>What the queue promises of one job, and of its family.</summary>
    private sealed class Model
    {
        private readonly List<Model> _children = [];
        private Model? _parent;
        private string? _onChildFailure;
        private int _attempt;
        private int _crashes;
        private long _lease;

        public string State { get; private set; } = "queued";

        public bool IsLost { get; set; }

        public bool IsWaiting => State is "queued" or "retryable";

        private bool HasEnded => State is "succeeded" or "failed" or "cancelled";

        public static Model OfParent(string onChildFailure) => new() { State = "blocked", _onChildFailure = onChildFailure };

        public Model Adopt()
        {
            var child = new Model { _parent = this };
            _children.Add(child);
            return child;
        }

        public string Cancel()
        {
            if (!HasEnded)
                Set("cancelled");
            return State;
        }

        public void Claim() => (State, _attempt, _lease) = ("running", _attempt + 1, _lease + 1);

        public bool End(Job job, string state) => Holds(job) && Set(state);

        public bool Wait(Job job, string? state, int givenBack)
        {
            if (!Holds(job))
                return false;
            state ??= _attempt > 1 ? "retryable" : "queued";
            _attempt -= givenBack;
            return Set(state);
        }

        public bool Renew(Job job) => Holds(job) && Set(State);

        public void Rescue()
        {
            _crashes++;
            State = _crashes >= MaxCrashes || _attempt >= Job.DefaultMaxAttempts ? "failed" : "retryable";
            IsLost = false;
        }

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{State} {_attempt} {_lease} {_crashes}");

        private bool Holds(Job job) => State == "running" && _lease == job.RunLease;

        private bool Set(string state)
        {
            State = state;
            IsLost = false;
            Settle();
            return true;
        }

        /// <summary>What its end means for its parent, and for its children.</summary>
        public void Settle()
        {
            if (!HasEnded)
                return;
            if (_parent is { State: "blocked" } parent)
            {
                if (State != "succeeded" && parent._onChildFailure != "continue")
                    parent.Set(parent._onChildFailure == "fail" ? "failed" : "cancelled");
                else if (parent._children.TrueForAll(child => child.HasEnded))
                    parent.Set("queued");
            }

            foreach (var child in _children.Where(child => State != "succeeded" && !child.HasEnded))
                child.Set("cancelled");
        }
    }
}
