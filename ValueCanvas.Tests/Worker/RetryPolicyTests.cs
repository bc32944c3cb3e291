using ValueCanvas.Core.Inference;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Worker;

public sealed class RetryPolicyTests
{
    [Theory]
    [InlineData(1, 1, 2)]
    [InlineData(2, 2, 4)]
    [InlineData(5, 16, 32)]
    [InlineData(9, 150, 300)]
    [InlineData(1000, 150, 300)]
    public void DelayAfter_Attempt_DoublesUpToFiveMinutesWithJitter(int attempt, int least, int most)
    {
        var random = new Random(1);
        var delays = Enumerable.Range(0, 200).Select(_ => RetryPolicy.DelayAfter(attempt, null, random).TotalSeconds).ToList();

        Assert.All(delays, delay => Assert.InRange(delay, least, most));
        Assert.True(delays.Max() - delays.Min() > (most - least) * 0.8);
    }

    [Theory]
    [InlineData(7, 7)]
    [InlineData(86_400, 300)]
    public void DelayAfter_RefusingSideSaysWhen_WinsUpToFiveMinutes(int asked, int expected) =>
        Assert.Equal(TimeSpan.FromSeconds(expected), RetryPolicy.DelayAfter(1, TimeSpan.FromSeconds(asked), new Random(1)));

    [Theory]
    [InlineData(InferenceFailure.Timeout, "timeout")]
    [InlineData(InferenceFailure.InvalidAnswer, "invalid_answer")]
    public void Classify_FailureThatMayPass_IsWorthAnotherAttempt(InferenceFailure kind, string code)
    {
        var outcome = RetryPolicy.Classify(new InferenceException(kind, "m", retryAfter: TimeSpan.FromSeconds(3)));

        var fault = Assert.IsType<JobOutcome.Faulted>(outcome);
        Assert.Equal((code, "m", TimeSpan.FromSeconds(3)), (fault.Error.Code, fault.Error.Message, fault.RetryAfter!.Value));
    }

    [Theory]
    [InlineData(InferenceFailure.RateLimited, 3, false, true)]
    [InlineData(InferenceFailure.RateLimited, null, false, true)]
    [InlineData(InferenceFailure.Unavailable, 3, false, true)]
    [InlineData(InferenceFailure.Unavailable, null, true, true)]
    [InlineData(InferenceFailure.Unavailable, null, false, false)]
    public void Classify_NobodyTried_PutsTheJobOffAndUsesNoAttempt(InferenceFailure kind, int? retryAfter, bool outage, bool snoozed)
    {
        var outcome = RetryPolicy.Classify(
            new InferenceException(kind, "m", retryAfter: retryAfter is { } seconds ? TimeSpan.FromSeconds(seconds) : null)
            {
                IsOutage = outage,
            });

        Assert.Equal(snoozed, outcome is JobOutcome.Snoozed);
        Assert.Equal(!snoozed, outcome is JobOutcome.Faulted);
    }

    [Fact]
    public void DelayOfSnooze_Asked_IsThatAndAQuarterAtMost_NeverLessThanASecond()
    {
        var random = new Random(1);
        for (var i = 0; i < 100; i++)
        {
            Assert.InRange(RetryPolicy.DelayOfSnooze(7, TimeSpan.FromSeconds(8), random).TotalSeconds, 8, 10);
            Assert.InRange(RetryPolicy.DelayOfSnooze(0, TimeSpan.Zero, random).TotalSeconds, 1, 1.25);
            Assert.InRange(RetryPolicy.DelayOfSnooze(9, null, random).TotalSeconds, 150, 300);
        }
    }

    [Theory]
    [InlineData(InferenceFailure.BadRequest, "bad_request")]
    [InlineData(InferenceFailure.ModelNotFound, "model_not_found")]
    public void Classify_FailureThatStays_IsFinal(InferenceFailure kind, string code) =>
        Assert.Equal(code, Assert.IsType<JobOutcome.Rejected>(RetryPolicy.Classify(new InferenceException(kind, "m"))).Error.Code);

    [Fact]
    public void Classify_AnythingElse_IsTriedAgainAndTellsNoDetail()
    {
        var fault = Assert.IsType<JobOutcome.Faulted>(RetryPolicy.Classify(new InvalidOperationException("a secret")));

        Assert.Equal("internal", fault.Error.Code);
        Assert.DoesNotContain("secret", fault.Error.Message, StringComparison.Ordinal);
    }
}
