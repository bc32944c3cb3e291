namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>When Redis said something: its answers come in any order, and by this the newer one of two is known.</summary>
/// <param name="Asked">How far this instance had come with asking and hearing when it asked.</param>
/// <param name="Epoch">Redis'.</param>
/// <param name="Time">Redis', which no two scripts have in common.</param>
/// <param name="Place">Among the requests of one script.</param>
internal readonly record struct Said(long Asked, long Epoch, long Time, int Place)
{
    /// <summary>
    /// What was asked for after the other answer had been heard is newer, whatever Redis' clock did meanwhile; what had been under way then
    /// is ordered by that clock.
    /// </summary>
    /// <param name="other">Another answer.</param>
    /// <param name="heardAt">How far this instance had come when it heard that one.</param>
    public bool IsBefore(Said other, long heardAt) =>
        Asked <= heardAt && (Epoch, Time, Place).CompareTo((other.Epoch, other.Time, other.Place)) < 0;
}
