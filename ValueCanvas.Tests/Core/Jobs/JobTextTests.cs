using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Tests.Core.Jobs;

public sealed class JobTextTests
{
    [Fact]
    public void Continues_AttemptTookOverAsMuchAsWasShown_GoesOn()
    {
        var text = JobText.None.Begin(1, keep: false) with { Text = "ab\u00e9" };
        var next = text.Begin(2, keep: true);

        Assert.True(JobText.Continues(next.Bases, new(1, 4)));
        Assert.True(JobText.Continues(next.Bases, new(1, 2)));
        Assert.False(JobText.Continues(next.Bases, new(1, 5)));
        Assert.True(JobText.Continues(next.Bases, new(2, 999)));
        Assert.Equal("ab\u00e9", next.Text);
    }

    [Fact]
    public void Continues_AnAttemptBetweenTookOverLess_DoesNot()
    {
        // 1 wrote abc, 2 went on from ab, 3 from abX: as long as abc, but another text.
        var second = (JobText.None.Begin(1, keep: false) with { Text = "ab" }).Begin(2, keep: true);
        var third = (second with { Text = "abX" }).Begin(3, keep: true);

        Assert.False(JobText.Continues(third.Bases, new(1, 3)));
        Assert.True(JobText.Continues(third.Bases, new(1, 2)));
        Assert.True(JobText.Continues(third.Bases, new(2, 3)));
    }

    [Fact]
    public void Continues_AttemptBeganAnew_DoesNotUnlessNothingWasShown()
    {
        var next = (JobText.None.Begin(1, keep: false) with { Text = "abc" }).Begin(2, keep: false);

        Assert.Equal("", next.Text);
        Assert.False(JobText.Continues(next.Bases, new(1, 1)));
        Assert.True(JobText.Continues(next.Bases, default));
    }

    [Fact]
    public void Begin_VeryOften_ForgetsTheOldestAndTrustsThemNoMore()
    {
        var text = JobText.None;
        for (var lease = 1; lease <= 50; lease++)
            text = text.Begin(lease, keep: true) with { Text = "abc" };

        Assert.Equal(20, text.Bases.Count);
        Assert.False(JobText.Continues(text.Bases, new(5, 1)));
        Assert.True(JobText.Continues(text.Bases, new(49, 3)));
    }

    [Theory]
    [InlineData("3.14", 3, 14)]
    [InlineData("", 0, 0)]
    [InlineData("3", 0, 0)]
    [InlineData("-1.2", 0, 0)]
    [InlineData("1.2.3", 0, 0)]
    [InlineData("99999999999999999999.1", 0, 0)]
    public void TryParse_IdOrNot_ReadsOnlyIds(string text, long lease, int offset)
    {
        Assert.Equal(lease > 0, JobTextPosition.TryParse(text, out var position));
        Assert.Equal(new(lease, offset), position);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"total":1,"items":[]}""")]
    [InlineData("nonsense")]
    public void Parse_CheckpointOfAnotherKind_IsNull(string checkpoint) => Assert.Null(JobText.Parse(checkpoint));
}
