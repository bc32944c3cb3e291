using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Submissions that come at the same time, in one statement. What an older Api does goes on working.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261126010000_GroupedSubmissions")]
internal sealed class GroupedSubmissions : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(SubmitFunction.History);
        migrationBuilder.Sql(SubmitFunction.Text);
    }
}
