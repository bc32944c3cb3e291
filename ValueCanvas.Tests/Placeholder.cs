namespace ValueCanvas.Tests;

public sealed class Placeholder
{
    [Fact]
    public void Remove_Me() => Assert.True(true);
}
