using Npgsql;

namespace ValueCanvas.Core.Changes;

/// <summary>Remembers a part of the database, and forgets what changed there.</summary>
public interface IChangeFollower
{
    /// <summary>Asks what changed, and forgets it.</summary>
    /// <remarks>
    /// Ask for <see cref="ChangesSince.LookBack"/> more than has passed: a look-up that read something just before it changed, and
    /// remembers it just after that was told, is undone by the next question.
    /// </remarks>
    Task FollowAsync(NpgsqlConnection connection, ChangesSince since, CancellationToken cancellationToken);

    /// <summary>The database does not answer.</summary>
    void NoAnswer();
}

/// <summary>Since when a follower asks.</summary>
/// <param name="AskedAt">Timestamp of this question: what its answer does not name is as it was then.</param>
/// <param name="Silence">From the last question that was answered; null before the first.</param>
public readonly record struct ChangesSince(long AskedAt, TimeSpan? Silence)
{
    /// <summary>Longer than any look-up takes.</summary>
    public static readonly TimeSpan LookBack = TimeSpan.FromSeconds(30);
}
