using ValueCanvas.Tests.Infrastructure;
using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCollectionOrderer(typeof(LongestFirst))]

namespace ValueCanvas.Tests.Infrastructure;

/// <summary>
/// Collections that take long, most of it waiting for processes, begin first: others run beside them, and none is left to run alone at the
/// end. Those that start whole systems follow each other at a distance: each start alone takes all processors. A
/// name that is none any more does no harm.
/// </summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    private static readonly string[] Long =
    [
        "EndToEnd",
        "RestartedDatabaseTests",
        "JobModelTests",
        "TokenLimitTests",
        "ChaosTests",
        "FirstStartTests",
        "LimitHttpTests",
        "LoginTests",
        "AppHostProcessTests",
        "DependenciesTests",
        "HostileBodyTests",
        "OpenAiDotNetThroughApiTests",
        "SupervisionTests",
    ];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections.OrderBy(collection => Rank(collection.TestCollectionDisplayName)).ThenBy(collection => collection.UniqueID)];

    private static int Rank(string name) => Array.FindIndex(Long, name.Contains) is >= 0 and var rank ? rank : Long.Length;
}
