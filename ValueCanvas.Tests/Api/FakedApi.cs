using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api;

/// <summary>
/// The Api with a fake in the proxy's place and neither database nor Redis, for all tests of a class that are not about limits; each of
/// them begins with <see cref="Begin"/>.
/// </summary>
public sealed class FakedApi : IAsyncLifetime
{
    // What the Api asked the proxy a moment ago it does not ask again.
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(2);

    private readonly ShiftedClock _clock = new();

    internal FakeInference Inference { get; private set; } = null!;

    internal ApiHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Inference = await FakeInference.StartAsync();
        Host = new ApiHost(
            _clock, Inference.Address, settings: ("RateLimiting:Enabled", "false"));
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        await Inference.DisposeAsync();
    }

    /// <summary>Whatever the test before has asked or arranged is forgotten.</summary>
    public void Begin()
    {
        Inference.Reset();
        _clock.Advance(Moment);
    }
}
