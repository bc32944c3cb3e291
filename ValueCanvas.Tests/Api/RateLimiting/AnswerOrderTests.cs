using Microsoft.Extensions.Options;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Redis' answers come in any order: what an instance remembers of them is what the newest one said.</summary>
public sealed class AnswerOrderTests(ServersFixture servers)
{
    private const int Histories = 100;
    private const int Steps = 80;

    // Of another epoch than any: so what is remembered is told in full.
    private const long NoEpoch = -1;

    [Theory]
    [InlineData(nameof(LimitAlgorithm.TokenBucket))]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow))]
    [InlineData(nameof(LimitAlgorithm.FixedWindow))]
    public void Answers_HeardInAnyOrder_LeaveWhatTheNewestSaid(string name)
    {
        for (var seed = 0; seed < Histories; seed++)
        {
            var (random, policy) = LocalCounterTests.Random(seed, name);
            var history = new History(random, policy);
            for (var step = 0; step < Steps; step++)
                history.Step();

            history.HearAll();
            // Buckets count in time: each amount that goes in and out again may leave a microsecond.
            Assert.InRange(history.Remembered - history.Told, 0, name == nameof(LimitAlgorithm.TokenBucket) ? 2 * Steps : 0);
        }
    }

    [Fact]
    public void Answer_FromBeforeRedisForgot_ChangesNothing()
    {
        var (local, charge) = Make();
        Follow(Question(), epoch: 100, time: 1000, level: 50);
        var (late, first) = (Question(), Question());
        Follow(first, epoch: 200, time: 2000, level: 1);
        Follow(late, epoch: 100, time: 1001, level: 7);

        Assert.Equal((200L, 50L), (local.Epoch, local.LevelToRestore(charge, local.Epoch)));
        Follow(Question(50), epoch: 200, time: 2001, level: 51);
        Assert.Equal((0L, 51L), (local.LevelToRestore(charge, 200), local.LevelToRestore(charge, NoEpoch)));

        // And one from after it, though the server's clock was set back meanwhile.
        Follow(Question(), epoch: 150, time: 1500, level: 1);
        Assert.Equal((150L, 51L), (local.Epoch, local.LevelToRestore(charge, local.Epoch)));

        ChargeQuestion Question(long restored = 0) => new([charge], "id", 0, [restored], IsAdmitted: false) { Asked = local.Moment() };

        void Follow(ChargeQuestion question, long epoch, long time, long level) =>
            local.Follow(question, Answer(question, charge, new(question.Asked, epoch, time, 0), level));
    }

    [Fact]
    public void Restored_WhileMoreWasCountedHere_IsRestoredAgain()
    {
        var (local, charge) = Make();
        local.Charge([charge], 1, "one", isTold: false);
        var question = new ChargeQuestion([charge], "two", 0, [local.LevelToRestore(charge, 1)], IsAdmitted: false)
        {
            Asked = local.Moment(),
        };
        local.Charge([charge], 1, "three", isTold: false);
        local.Follow(question, Answer(question, charge, new(question.Asked, 1, 1000, 0), 2));

        Assert.Equal(2, local.LevelToRestore(charge, 1));
    }

    [Fact]
    public async Task Instance_ManyAtOnce_RemembersWhatRedisCounts()
    {
        var options = new RateLimitingOptions { Prefix = $"order-{Guid.NewGuid():N}", RedisTimeout = TimeSpan.FromSeconds(20) };
        var policy = LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 1_000_000, TimeSpan.FromDays(30), unit: LimitUnit.Tokens);
        var charge = LimitTestData.Charge(policy, 10, options.Prefix);
        using var redis = await RedisConnection.OpenAsync(servers.Redis);
        await using var instance = await LimiterInstance.StartAsync(servers.Redis, options);
        for (var round = 0; round < 8; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 100).Select(i => Task.Run(async () =>
            {
                var decision = await instance.AskAsync(charge);
                await instance.Limiter.SettleAsync(decision, i % 15);
            }))).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);

            Assert.Equal(
                await LimitTestData.WindowSumAsync(redis.Database, charge.Key), instance.Local.LevelToRestore(charge, NoEpoch));
        }
    }

    private static (LocalLimiter Local, Charge Charge) Make() => (
        new(Options.Create(new RateLimitingOptions()), new SteppedClock()),
        LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 1000, TimeSpan.FromDays(1))));

    private static ChargeAnswer Answer(ChargeQuestion question, Charge charge, Said said, long level) => new(
        new LimitDecision(question.Id, [new(charge, false, 0, 0, 0, 0, 0)], -1, counted: true, said.Epoch), [level], said);

    /// <summary>One count in a Redis that others use as well; its answers are under way until they are heard, in any order.</summary>
    private sealed class History(Random random, LimitPolicy policy)
    {
        private const long Epoch = 7;

        private readonly LocalLimiter _local = new(Options.Create(new RateLimitingOptions()), new SteppedClock());
        private readonly LocalCounter _redis = LocalCounterTests.Make(policy.Algorithm);
        private readonly List<Action> _underWay = [];
        private readonly List<LimitDecision> _admitted = [];
        private long _now = 1_000_000_000_000;
        private int _ids;

        public long Told { get; private set; }

        public long Remembered => _local.LevelToRestore(Charge(1), NoEpoch);

        public void Step()
        {
            _now += random.Next(1, 50);
            Action act = random.Next(6) switch
            {
                0 => () => _redis.Add(Charge(1), 1, _now),
                1 => AskMany,
                2 when _admitted.Count > 0 => Settle,
                3 => AdmitInMemory,
                _ => HearOne,
            };
            act();
        }

        public void HearAll()
        {
            _now++;
            AskMany();
            while (_underWay.Count > 0)
                HearOne();
        }

        private void HearOne()
        {
            if (_underWay.Count == 0)
                return;
            var hear = _underWay[random.Next(_underWay.Count)];
            _underWay.Remove(hear);
            hear();
        }

        private void AskMany()
        {
            var count = random.Next(1, 5);
            for (var place = 0; place < count; place++)
            {
                var question = Question(isAdmitted: false);
                _local.Ask(question.Charges);
                var answer = Decide(question, place);
                _underWay.Add(() =>
                {
                    _local.Follow(question, answer);
                    if (answer.Decision.Allowed)
                        _admitted.Add(answer.Decision);
                });
            }
        }

        private void Settle()
        {
            var decision = _admitted[random.Next(_admitted.Count)];
            _admitted.Remove(decision);
            var (reading, asked) = (decision.Readings[0], _local.Moment());
            var used = random.NextInt64(0, reading.Charge.Cost * 5 / 4 + 1);
            if (used < reading.Charge.Cost)
                _redis.Refund(reading.Charge, reading.Charge.Cost - used, _now, reading.Place, reading.Refunds);
            else
                _redis.Add(reading.Charge, used - reading.Charge.Cost, _now);
            Told = _redis.Level(reading.Charge, _now);
            long[] answer = [_now, Epoch, Told, 0];
            _underWay.Add(() => _local.Follow(decision, used, answer, asked));
        }

        private void AdmitInMemory()
        {
            var question = Question(isAdmitted: true);
            var readings = _local.Charge(question.Charges, 1, question.Id, isTold: true);
            var made = new LimitDecision(question.Id, readings, LimitDecision.FindBinding(readings), counted: false, epoch: 0)
            {
                IsTold = true, Instances = 1,
            };
            if (!made.Allowed)
                return;
            var counted = Decide(question, place: 0);
            _underWay.Add(() => _local.Adopt(made, counted.Decision, counted));
        }

        private ChargeAnswer Decide(ChargeQuestion question, int place)
        {
            var charge = question.Charges[0];
            var reading = _redis.Look(charge, charge.Cost, 0, _now);
            if (!reading.Denied || question.IsAdmitted)
                reading = _redis.Take(charge, charge.Cost, _now, question.Id);
            Told = _redis.Level(charge, _now);
            var decision = new LimitDecision(question.Id, [reading], reading.Denied ? 0 : -1, counted: true, Epoch);
            return new(decision, [Told], new(question.Asked, Epoch, _now, place));
        }

        private ChargeQuestion Question(bool isAdmitted) =>
            new([Charge(random.NextInt64(1, Math.Max(2, policy.Limit / 5)))], $"r{_ids++}", 0, [0], isAdmitted) { Asked = _local.Moment() };

        private Charge Charge(long cost) => LimitTestData.Charge(policy, cost);
    }
}
