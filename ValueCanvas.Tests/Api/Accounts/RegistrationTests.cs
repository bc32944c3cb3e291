using System.Net;

namespace ValueCanvas.Tests.Api.Accounts;

public sealed class RegistrationTests(AccountsFixture fixture) : IClassFixture<AccountsFixture>
{
    private readonly AccountsApi _api = fixture.Api;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Register_NewAddress_OwnsATenantOfItsOwn()
    {
        var ann = await _api.SignUpAsync();
        var bob = await _api.SignUpAsync();

        Assert.NotEqual(ann.Tenant, bob.Tenant);
        Assert.Equal("owner", await fixture.Database.ScalarAsync<string>(
            $"SELECT role FROM memberships WHERE tenant_id = '{ann.Tenant}' AND user_id = '{ann.User}'"));
    }

    [Fact]
    public async Task Register_TakenAddress_AnswersTheSameAndChangesNothing()
    {
        var email = AccountsApi.NewEmail();
        using var first = await _api.PostAsync("/api/auth/register", new { email, password = AccountsApi.Password });
        using var second = await _api.PostAsync(
            "/api/auth/register",
            new { email = email.ToUpperInvariant(), password = "some other words entirely" });

        Assert.Equal(first.StatusCode, second.StatusCode);
        Assert.Equal(await first.Content.ReadAsStringAsync(Cancel), await second.Content.ReadAsStringAsync(Cancel));
        Assert.Equal(Names(first), Names(second));
        await _api.SignInAsync(email);
        await ApiHost.ProblemAsync(await _api.PostAsync("/api/auth/login", new { email, password = "some other words entirely" }), 401);

        static IEnumerable<string> Names(HttpResponseMessage response) =>
            response.Headers.Select(header => header.Key).Order(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Register_SameAddressManyTimesAtOnce_MakesOneUser()
    {
        var email = AccountsApi.NewEmail();

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
            _api.PostAsync("/api/auth/register", new { email, password = AccountsApi.Password })));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode));
        Assert.Equal(1, await fixture.Database.ScalarAsync<long>($"SELECT count(*) FROM users WHERE email = '{email}'"));
    }

    [Theory]
    [InlineData("isOperator", "true")]
    [InlineData("role", "\"owner\"")]
    [InlineData("id", "\"00000000-0000-0000-0000-000000000001\"")]
    [InlineData("tenantId", "\"00000000-0000-0000-0000-000000000001\"")]
    [InlineData("emailConfirmed", "true")]
    [InlineData("IsOperator", "true")]
    public async Task Register_FieldThatNobodyMaySet_Is400(string field, string value)
    {
        var body = $$"""{"email":"{{AccountsApi.NewEmail()}}","password":"{{AccountsApi.Password}}","{{field}}":{{value}}}""";

        var problem = await ApiHost.ProblemAsync(await _api.PostAsync("/api/auth/register", body), 400);

        Assert.Contains(field, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("ann")]
    [InlineData("ann@")]
    [InlineData("@example.com")]
    [InlineData("ann@@example.com")]
    [InlineData("ann@example.com, bob@example.com")]
    [InlineData("ann@example.com\\u0000")]
    [InlineData("ann @example.com")]
    [InlineData("ann@exämple.com")]
    [InlineData("Ann <ann@example.com>")]
    [InlineData("ann..b@example.com")]
    public async Task Register_NoAddress_Is400(string email) => await ApiHost.ProblemAsync(
        await _api.PostAsync("/api/auth/register", $$"""{"email":"{{email}}","password":"{{AccountsApi.Password}}"}"""), 400);

    [Theory]
    [InlineData("short")]
    [InlineData("password123")]
    [InlineData("12345678")]
    public async Task Register_PasswordThatAnybodyWouldTry_Is400(string password)
    {
        var problem = await ApiHost.ProblemAsync(
            await _api.PostAsync("/api/auth/register", new { email = AccountsApi.NewEmail(), password }), 400);

        Assert.True(problem.GetProperty("errors").TryGetProperty("password", out _));
        Assert.DoesNotContain(password, problem.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Register_PasswordOf256Characters_IsNotCutOff()
    {
        var (email, password) = (AccountsApi.NewEmail(), string.Concat(Enumerable.Range(0, 64).Select(i => $"{i:000}é")));
        using var registered = await _api.PostAsync("/api/auth/register", new { email, password });
        Assert.Equal(HttpStatusCode.Accepted, registered.StatusCode);

        await ApiHost.ProblemAsync(await _api.PostAsync("/api/auth/login", new { email, password = password[..^1] }), 401);
        // The same letters as another keyboard writes them.
        await _api.SignInAsync(email, password.Normalize(System.Text.NormalizationForm.FormD));
    }

    [Fact]
    public async Task Register_HugeBody_Is413() => await ApiHost.ProblemAsync(
        await _api.PostAsync("/api/auth/register", new { email = AccountsApi.NewEmail(), password = new string('x', 100_000) }), 413);

    [Fact]
    public async Task Register_TooManyFromOneNetwork_Is429()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:SignIn:MaxRegistrations", "3"));
        var network = $"127.7.{Random.Shared.Next(256)}.{Random.Shared.Next(1, 255)}";
        for (var i = 0; i < 3; i++)
        {
            using var taken = await api.PostAsync(
                "/api/auth/register", new { email = AccountsApi.NewEmail(), password = AccountsApi.Password }, network: network);
            Assert.Equal(HttpStatusCode.Accepted, taken.StatusCode);
        }

        using var refused = await api.PostAsync(
            "/api/auth/register", new { email = AccountsApi.NewEmail(), password = AccountsApi.Password }, network: network);

        await ApiHost.ProblemAsync(refused, 429);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 3600);
    }

    [Fact]
    public async Task Register_Closed_Is403()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:SignIn:Registration", "false"));

        await ApiHost.ProblemAsync(
            await api.PostAsync("/api/auth/register", new { email = AccountsApi.NewEmail(), password = AccountsApi.Password }), 403);
    }
}
