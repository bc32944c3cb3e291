using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Worker;

public sealed class JobWorkerOptionsTests
{
    [Fact]
    public void Problems_Defaults_AreNone() => Assert.Empty(new JobWorkerOptions().Problems());

    [Fact]
    public void Problems_LeaseShorterThanThreeHeartbeats_NamesBothKeys()
    {
        var problem = Assert.Single(new JobWorkerOptions { Heartbeat = TimeSpan.FromSeconds(10) }.Problems());

        Assert.Contains("Worker:Lease", problem, StringComparison.Ordinal);
        Assert.Contains("Worker:Heartbeat", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Problems_SeveralWrong_AreAllNamed()
    {
        var problems = new JobWorkerOptions { Concurrency = 0, MaxCrashes = 0, PollInterval = TimeSpan.Zero }.Problems().ToList();

        foreach (var key in new[] { "Worker:Concurrency", "Worker:MaxCrashes", "Worker:PollInterval" })
            Assert.Contains(problems, problem => problem.StartsWith(key, StringComparison.Ordinal));
    }
}
