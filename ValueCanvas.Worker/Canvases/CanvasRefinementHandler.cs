using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Prompts;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Worker.Canvases;

/// <summary>
/// Changes a canvas as the job's instruction says. Somebody may change it while the model works: then nothing is stored, and the next
/// attempt begins from what is there.
/// </summary>
internal sealed class CanvasRefinementHandler(CanvasRefiner refiner, TenantDatabase database, PromptCatalog prompts, TimeProvider time)
    : IJobHandler
{
    private static readonly JobError Changed = new("canvas_changed", "The canvas was changed while the model worked on it.");
    private static readonly JobError Gone = new("canvas_not_found", "The canvas has been removed.");

    public string Type => JobTypes.CanvasRefinement;

    public async Task<JobOutcome> RunAsync(Job job, CancellationToken cancellationToken)
    {
        if (JobArgs.Read(job, prompts) is not { } variables)
            return JobArgs.Invalid(job);
        var id = Guid.Parse(variables["canvasId"].GetString()!);
        var canvas = await database.ExecuteAsync(
            job.TenantId, (db, ct) => db.Set<Canvas>().AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, ct), cancellationToken);
        if (canvas is null)
            return new JobOutcome.Rejected(Gone);

        var content = await refiner.RefineAsync(
            JobCalls.Of(job), canvas, variables["instruction"].GetString()!, cancellationToken);
        var before = canvas.UpdatedAt;
        var now = time.GetUtcNow();
        // PostgreSQL keeps microseconds. Clocks of workers may be apart: a change always counts as a later one.
        now = now.AddTicks(-(now.Ticks % TimeSpan.TicksPerMicrosecond));
        canvas.UpdatedAt = now > before ? now : before.AddTicks(TimeSpan.TicksPerMicrosecond);
        canvas.Title = content.Title;
        canvas.Content = content.ToJson();

        return new JobOutcome.Succeeded(
            JsonSerializer.Serialize(new CanvasResult(id, CanvasView.Of(canvas)), CanvasResultContext.Default.CanvasResult),
            async (db, ct) =>
            {
                var changed = await db.Set<Canvas>()
                    .Where(row => row.Id == id && row.UpdatedAt == before)
                    .ExecuteUpdateAsync(
                        row => row
                            .SetProperty(c => c.Title, canvas.Title)
                            .SetProperty(c => c.Content, canvas.Content)
                            .SetProperty(c => c.UpdatedAt, canvas.UpdatedAt),
                        ct);
                if (changed == 0)
                    throw new EffectRefusedException(Changed);
            });
    }
}
