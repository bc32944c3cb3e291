using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Tests.Core.Database;

public sealed class ModelTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    /// <summary>There is no model snapshot, so nothing else notices a column that the migrations do not make.</summary>
    [Fact]
    public async Task EveryEntity_OnAMigratedDatabase_CanBeQueried()
    {
        using var host = database.Services();
        await using var scope = host.Services.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>();
        var entities = db.Model.GetEntityTypes().Where(entity => !entity.IsOwned()).ToList();
        Assert.NotEmpty(entities);

        foreach (var entity in entities)
        {
            var set = typeof(DbContext).GetMethod(nameof(DbContext.Set), [])!.MakeGenericMethod(entity.ClrType).Invoke(db, null)!;
            await ((IQueryable<object>)set).ToListAsync(TestContext.Current.CancellationToken);
        }
    }

    /// <summary>What an entity leaves out, the database must fill in or allow to be absent.</summary>
    [Fact]
    public async Task EveryColumnWithoutDefault_OfAMappedTable_IsMapped()
    {
        using var host = database.Services();
        await using var scope = host.Services.CreateAsyncScope();
        foreach (var entity in scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Model.GetEntityTypes())
        {
            var mapped = entity.GetProperties().Select(property => property.GetColumnName()).ToHashSet();
            var required = await database.ScalarAsync<string[]>(
                $"""
                 SELECT coalesce(array_agg(column_name::text), ARRAY[]::text[]) FROM information_schema.columns
                 WHERE table_name = '{entity.GetTableName()}' AND is_nullable = 'NO' AND column_default IS NULL
                 """);
            Assert.NotEmpty(required);
            Assert.Empty(required.Except(mapped));
        }
    }
}
