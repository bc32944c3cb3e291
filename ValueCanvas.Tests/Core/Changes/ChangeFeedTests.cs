using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using ValueCanvas.Core.Changes;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Changes;

/// <summary>
/// Whoever remembers something of the database is told of changes at once, and asks besides. Time stands still unless it is moved.
/// </summary>
public sealed class ChangeFeedTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly SteppedClock _clock = new();
    private readonly Follower _follower = new();

    [Theory]
    [InlineData("INSERT INTO access_changes (of_user) VALUES (gen_random_uuid())")]
    [InlineData("UPDATE rate_limit_revision SET revision = revision + 1")]
    [InlineData("UPDATE provider_keys SET set_at = now()")]
    public async Task Change_Committed_IsToldAtOnce(string sql)
    {
        await RunAsync([_follower], async () =>
        {
            await _follower.UntilAskedAsync(1);
            _clock.Advance(Pause);

            await MigratedDatabase.ExecuteAsync(database.Admin, sql);

            // No time has passed in which anybody would have asked by himself.
            await _follower.UntilAskedAsync(2);
            Assert.Equal(Pause, _follower.Last.Silence);
        });
    }

    [Fact]
    public async Task NothingTold_AsksTwiceASecondOnOneConnection()
    {
        await RunAsync([_follower], async () =>
        {
            for (var asked = 1; asked <= 4; asked++)
            {
                await _follower.UntilAskedAsync(asked);
                await _clock.AdvanceUntilAsync(TimeSpan.FromMilliseconds(500), () => _follower.Asked > asked);
            }

            Assert.Single(_follower.Connections.Distinct());
        });
    }

    [Fact]
    public async Task OneFollowerFails_TheOthersAreToldAllTheSame()
    {
        var failing = new Follower { Fails = true };
        await RunAsync([failing, _follower], async () =>
        {
            await _follower.UntilAskedAsync(1);
            await _clock.AdvanceUntilAsync(TimeSpan.FromMilliseconds(500), () => _follower.Asked > 1);

            Assert.True(failing.Unanswered > 0);
            Assert.Null(failing.Last.Silence);
            Assert.Equal(0, _follower.Unanswered);
        });
    }

    private async Task RunAsync(IChangeFollower[] followers, Func<Task> test)
    {
        await using var source = NpgsqlDataSource.Create(database.App);
        using var feed = new ChangeFeed(source, followers, _clock, NullLogger<ChangeFeed>.Instance);
        await feed.StartAsync(TestContext.Current.CancellationToken);
        try
        {
            await test();
        }
        finally
        {
            await feed.StopAsync(CancellationToken.None);
        }
    }

    private sealed class Follower : IChangeFollower
    {
        private int _asked;

        public bool Fails { get; init; }

        public int Asked => Volatile.Read(ref _asked);

        public int Unanswered { get; private set; }

        public ChangesSince Last { get; private set; }

        public List<int> Connections { get; } = [];

        public async Task FollowAsync(NpgsqlConnection connection, ChangesSince since, CancellationToken cancellationToken)
        {
            await using var command = new NpgsqlCommand(Fails ? "SELECT 1/0" : "SELECT 1", connection);
            await command.ExecuteScalarAsync(cancellationToken);
            Connections.Add(connection.ProcessID);
            Last = since;
            Interlocked.Increment(ref _asked);
        }

        public void NoAnswer() => Unanswered++;

        public Task UntilAskedAsync(int times) => ProxyHost.UntilAsync(() => Task.FromResult(Asked >= times));
    }
}
