using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Tests.Core.Database;

/// <summary>
/// While a new build replaces the old one both use the database, so a migration adds and takes nothing away that the build before it needs.
/// One that does, when no such build runs any more, has a name that ends in <c>Contract</c>, and does nothing else.
/// </summary>
public sealed partial class ExpandingMigrationTests
{
    // What came before was never in use by a build of its own.
    private const string FirstThatCounts = "20261125050000";

    [Fact]
    public void Migrations_ThatAreNoContract_TakeNothingAway()
    {
        var migrations = typeof(ValueCanvasDbContext).Assembly.GetTypes()
            .Where(type => type.GetCustomAttribute<MigrationAttribute>() is not null).ToArray();
        Assert.NotEmpty(migrations);

        foreach (var migration in migrations.Where(Counts))
        {
            Assert.True(
                Breach(SqlOf(migration)) is not { } breach,
                $"{migration.Name} would break the build before it: {Breach(SqlOf(migration))}. See docs/rolling-updates.md.");
        }
    }

    [Theory]
    [InlineData("ALTER TABLE t ADD COLUMN a int NOT NULL", "ADD COLUMN a int NOT NULL")]
    [InlineData("ALTER TABLE t ADD COLUMN a int, ADD b text NOT NULL;", "ADD b text NOT NULL")]
    [InlineData("alter table t drop column a", "drop column")]
    [InlineData("ALTER TABLE t\n    DROP a", "DROP a")]
    [InlineData("DROP TABLE t", "DROP TABLE")]
    [InlineData("DROP FUNCTION f(int)", "DROP FUNCTION")]
    [InlineData("ALTER TABLE t RENAME COLUMN a TO b", "RENAME")]
    [InlineData("ALTER TABLE t ALTER a SET NOT NULL", "ALTER a SET NOT NULL")]
    [InlineData("ALTER TABLE t ALTER COLUMN a TYPE bigint", "ALTER COLUMN a TYPE")]
    public void Statement_ThatTakesSomethingAway_IsFound(string sql, string breach) => Assert.Equal(breach, Breach(sql));

    [Theory]
    [InlineData("ALTER TABLE t ADD COLUMN a int NULL, ADD b text NOT NULL DEFAULT 'x, y'")]
    [InlineData("CREATE TABLE t (a int NOT NULL, b text NOT NULL)")]
    [InlineData("ALTER TABLE t ALTER COLUMN a DROP NOT NULL, ALTER COLUMN a SET DEFAULT 1")]
    [InlineData("DROP INDEX i; CREATE INDEX j ON t (a)")]
    [InlineData("DROP TRIGGER x ON t")]
    [InlineData("-- DROP TABLE t would break it\nSELECT 1")]
    [InlineData("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; ALTER FUNCTION f OWNER TO o")]
    public void Statement_ThatOnlyAdds_IsNot(string sql) => Assert.Null(Breach(sql));

    private static bool Counts(Type migration) =>
        string.CompareOrdinal(migration.GetCustomAttribute<MigrationAttribute>()!.Id, FirstThatCounts) >= 0
        && !migration.Name.EndsWith("Contract", StringComparison.Ordinal);

    private static string SqlOf(Type migration) => string.Join(
        ";\n",
        ((Migration)Activator.CreateInstance(migration, nonPublic: true)!).UpOperations
            .Cast<SqlOperation>()
            .Select(operation => operation.Sql));

    /// <summary>The first piece of a text that takes something away; null where none does.</summary>
    private static string? Breach(string sql)
    {
        sql = Comment().Replace(sql, "");
        if (TakesAway().Match(sql) is { Success: true } taken)
            return taken.Value;
        foreach (Match alter in AlterTable().Matches(sql))
        {
            if (AlterTakesAway().Match(alter.Value) is { Success: true } inside)
                return inside.Value;
            foreach (Match added in AddsColumn().Matches(alter.Value))
            {
                if (added.Value.Contains("NOT NULL", StringComparison.OrdinalIgnoreCase)
                    && !added.Value.Contains("DEFAULT", StringComparison.OrdinalIgnoreCase))
                {
                    return added.Value.Trim();
                }
            }
        }

        return null;
    }

    [GeneratedRegex("--[^\n]*")]
    private static partial Regex Comment();

    [GeneratedRegex(@"\b(DROP\s+(TABLE|FUNCTION|VIEW|TYPE|SEQUENCE|SCHEMA|COLUMN|ROLE)|RENAME|TRUNCATE)\b", RegexOptions.IgnoreCase)]
    private static partial Regex TakesAway();

    [GeneratedRegex(@"\bALTER\s+TABLE\b[^;]*", RegexOptions.IgnoreCase)]
    private static partial Regex AlterTable();

    [GeneratedRegex(
        @"(\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+NOT\s+NULL|(SET\s+DATA\s+)?TYPE)\b)"
        + @"|((?<=\w\s+|,\s*)DROP\s+(?!NOT\b|DEFAULT\b|CONSTRAINT\b|EXPRESSION\b|IDENTITY\b)\w+)",
        RegexOptions.IgnoreCase)]
    private static partial Regex AlterTakesAway();

    // A comma within parentheses or quotes does not end it, where it is balanced.
    [GeneratedRegex(
        @"\bADD\s+(COLUMN\s+)?(?!CONSTRAINT\b|CHECK\b|UNIQUE\b|PRIMARY\b|FOREIGN\b|EXCLUDE\b)\w+"
        + @"([^,(';]|\([^)]*\)|'[^']*')*",
        RegexOptions.IgnoreCase)]
    private static partial Regex AddsColumn();
}
