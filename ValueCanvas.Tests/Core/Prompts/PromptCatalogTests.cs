using System.Text.Json;
using ValueCanvas.Core.Prompts;

namespace ValueCanvas.Tests.Core.Prompts;

public sealed class PromptCatalogTests
{
    private static readonly PromptCatalog Catalog = new();

    private static Prompt Generate => Catalog.Find("canvas.generate")!;

    [Fact]
    public void Catalog_BuiltIn_HasTheCanvasPrompts()
    {
        Assert.Equal(
            ["canvas.generate", "canvas.refine", "canvas.system.business_model", "canvas.system.lean", "canvas.system.value_proposition"],
            Catalog.All.Select(prompt => prompt.Key));
        Assert.All(Catalog.All, prompt => Assert.Matches("^[0-9a-f]{12}$", prompt.Version));
        Assert.Equal(5, Catalog.All.Select(prompt => prompt.Version).Distinct().Count());
        Assert.Null(Catalog.Find("canvas.Generate"));
    }

    [Fact]
    public void Render_Values_ArePutInAsTheyAre()
    {
        var text = Generate.Render(Json("""{"businessDescription":"Bäcker & <Söhne> {{industry}}","industry":"\"Food\""}"""));

        Assert.Contains("Bäcker & <Söhne> {{industry}}", text, StringComparison.Ordinal);
        Assert.Contains("Industry: \"Food\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_WithoutOptionalVariable_LeavesItsLineOut() =>
        Assert.DoesNotContain("Industry", Generate.Render(Json("""{"businessDescription":"A bakery"}""")), StringComparison.Ordinal);

    [Fact]
    public void Render_InvalidVariables_Throws() => Assert.Throws<ArgumentException>(() => Generate.Render(Json("{}")));

    [Theory]
    [InlineData("{}", "businessDescription", "is required")]
    [InlineData("""{"businessDescription":null}""", "businessDescription", "is required")]
    [InlineData("""{"businessDescription":"  "}""", "businessDescription", "must not be empty")]
    [InlineData("""{"businessDescription":5}""", "businessDescription", "must be a string")]
    [InlineData("""{"businessDescription":"a\u0000b"}""", "businessDescription", "must not contain the character U+0000")]
    [InlineData("""{"businessDescription":"\ud800"}""", "businessDescription", "must be valid Unicode text")]
    [InlineData("""{"businessDescription":"a","type":"swot"}""", "type", "must be one of: value_proposition, business_model, lean")]
    [InlineData("""{"businessDescription":"a","type":""}""", "type", "must be one of: value_proposition, business_model, lean")]
    [InlineData("""{"businessDescription":"a","colour":"red"}""", "colour", "it takes businessDescription, industry, type")]
    public void Validate_BadVariables_NamesEach(string variables, string name, string problem)
    {
        var error = Assert.Single(Generate.Validate(Json(variables)));

        Assert.Equal(name, error.Key);
        Assert.Contains(problem, Assert.Single(error.Value), StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_LengthOfDescription_IsBounded()
    {
        Assert.Empty(Generate.Validate(Json(JsonSerializer.Serialize(new { businessDescription = new string('x', 20_000) }))));
        Assert.Single(Generate.Validate(Json(JsonSerializer.Serialize(new { businessDescription = new string('x', 20_001) }))));
    }

    private static Dictionary<string, JsonElement> Json(string json) => JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(json)!;
}
