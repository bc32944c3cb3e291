using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>Does the work of one type of job; may run more than once for a job, after a lost lease even at the same time.</summary>
internal interface IJobHandler
{
    /// <summary>One of <see cref="JobTypes"/>.</summary>
    string Type { get; }

    /// <summary>Changes nothing in our tables: changes go into the outcome, which is committed only while the lease holds.</summary>
    Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken);
}
