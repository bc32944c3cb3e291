using System.Net;
using Npgsql;
using ValueCanvas.Tests.Api.ApiKeys;

namespace ValueCanvas.Tests.Api;

/// <summary>Requests that hold every connection there is: the others are refused soon, and none hangs.</summary>
public sealed class DatabasePoolTests(KeyDatabase database) : IClassFixture<KeyDatabase>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Pool_Exhausted_Is503ForEverybodyInSeconds_AndWorksAgain()
    {
        var few = new NpgsqlConnectionStringBuilder(database.App) { Pooling = true, MaxPoolSize = 4 }.ConnectionString;
        await using var api = new ApiHost(
            database: few, settings: [("Database:ConnectTimeout", "00:00:02"), ("Database:CommandTimeout", "00:00:02")]);
        using (var warm = await api.GetAsync("/api/canvas"))
            Assert.Equal(HttpStatusCode.OK, warm.StatusCode);
        await using var locker = new NpgsqlConnection(database.Admin);
        await locker.OpenAsync(Cancellation);
        await using (var transaction = await locker.BeginTransactionAsync(Cancellation))
        {
            await using var command = new NpgsqlCommand("LOCK TABLE canvases IN ACCESS EXCLUSIVE MODE", locker);
            await command.ExecuteNonQueryAsync(Cancellation);

            // Some wait for the table, holding a connection; the rest for a connection.
            var asked = TimeProvider.System.GetTimestamp();
            var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => api.GetAsync("/api/canvas")));

            // A time-out or two; in turn, thirty requests would take a minute.
            Assert.InRange(TimeProvider.System.GetElapsedTime(asked).TotalSeconds, 0, 25);
            foreach (var answer in answers)
            {
                var problem = await ApiHost.ProblemAsync(answer, 503);
                Assert.EndsWith("database-unavailable", problem.GetProperty("type").GetString(), StringComparison.Ordinal);
                Assert.NotNull(answer.Headers.RetryAfter?.Delta);
                answer.Dispose();
            }

            await transaction.RollbackAsync(Cancellation);
        }

        using var after = await api.GetAsync("/api/canvas");
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
    }
}
