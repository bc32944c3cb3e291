using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>Does the work of one type of job. May run more than once for a job, also at the same time elsewhere after a lost lease.</summary>
internal interface IJobHandler
{
    /// <summary>One of <see cref="JobTypes"/>.</summary>
    string Type { get; }

    /// <summary>Works without side effects in our tables: those go into the outcome, which is committed only while the lease holds.</summary>
    Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken);
}
