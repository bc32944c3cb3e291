using System.Text.Json.Serialization;
using ValueCanvas.Api.Accounts.OpenIdConnect;
using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.SignIn;
using ValueCanvas.Api.Accounts.Tenants;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(RegisterBody))]
[JsonSerializable(typeof(LoginBody))]
[JsonSerializable(typeof(PasswordBody))]
[JsonSerializable(typeof(IssueResetBody))]
[JsonSerializable(typeof(RedeemResetBody))]
[JsonSerializable(typeof(Envelope<NewPasswordReset>))]
[JsonSerializable(typeof(RefreshBody))]
[JsonSerializable(typeof(LogoutBody))]
[JsonSerializable(typeof(TenantBody))]
[JsonSerializable(typeof(RoleBody))]
[JsonSerializable(typeof(InvitationBody))]
[JsonSerializable(typeof(AcceptBody))]
[JsonSerializable(typeof(Envelope<RegisterData>))]
[JsonSerializable(typeof(Envelope<PasswordData>))]
[JsonSerializable(typeof(Envelope<SessionData>))]
[JsonSerializable(typeof(Envelope<SessionsEnded>))]
[JsonSerializable(typeof(Envelope<SessionList>))]
[JsonSerializable(typeof(Envelope<MeData>))]
[JsonSerializable(typeof(Envelope<TenantList>))]
[JsonSerializable(typeof(Envelope<TenantView>))]
[JsonSerializable(typeof(Envelope<MemberList>))]
[JsonSerializable(typeof(Envelope<MemberChange>))]
[JsonSerializable(typeof(Envelope<InvitationList>))]
[JsonSerializable(typeof(Envelope<NewInvitation>))]
[JsonSerializable(typeof(Envelope<RevokedInvitation>))]
[JsonSerializable(typeof(LinkBody))]
[JsonSerializable(typeof(Envelope<LinkData>))]
[JsonSerializable(typeof(Envelope<ProviderList>))]
internal sealed partial class AccountsContext : JsonSerializerContext;
