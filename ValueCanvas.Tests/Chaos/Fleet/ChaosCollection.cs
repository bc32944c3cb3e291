namespace ValueCanvas.Tests.Chaos.Fleet;

/// <summary>All faults that are made in one fleet, one after another.</summary>
[CollectionDefinition(Name)]
public sealed class ChaosCollection : ICollectionFixture<ChaosFleet>
{
    public const string Name = "ChaosTests";
}
