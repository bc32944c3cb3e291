using Npgsql;
using ValueCanvas.Core.Changes;

namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>Takes over policies that were changed. While PostgreSQL is away, what is known goes on.</summary>
internal sealed class LivePolicyFollower(LivePolicyStore store, PolicyCatalog catalog) : IChangeFollower
{
    private long _revision = -1;

    public async Task FollowAsync(NpgsqlConnection connection, ChangesSince since, CancellationToken cancellationToken) =>
        await FollowAsync(await LivePolicyStore.RevisionAsync(connection, cancellationToken), cancellationToken);

    public void NoAnswer()
    {
    }

    /// <summary>Takes over at once what was changed here.</summary>
    public async Task LookAsync(CancellationToken cancellationToken) =>
        await FollowAsync(await store.RevisionAsync(cancellationToken), cancellationToken);

    private async Task FollowAsync(long revision, CancellationToken cancellationToken)
    {
        if (revision == Volatile.Read(ref _revision))
            return;
        catalog.Follow(await store.LoadAsync(cancellationToken));
        Volatile.Write(ref _revision, revision);
    }
}
