using ValueCanvas.Api.Accounts;

namespace ValueCanvas.Api.Authentication;

/// <summary>What an endpoint asks of its caller; metadata. All of an endpoint's and its groups' requirements must hold.</summary>
internal abstract record Requirement
{
    /// <exception cref="Errors.RequestException">403, saying what is missing.</exception>
    public abstract void Check(Caller caller);

    public sealed record OfScope(string Scope) : Requirement
    {
        public override void Check(Caller caller)
        {
            if (!caller.Scopes.Contains(Scope))
                throw Refusals.Scope(Scope);
        }
    }

    public sealed record OfRole(Role Role) : Requirement
    {
        public override void Check(Caller caller)
        {
            if (caller.Role < Role)
                throw Refusals.Role(Role);
        }
    }

    public sealed record OfOperator : Requirement
    {
        public override void Check(Caller caller)
        {
            if (!caller.IsOperator || !caller.Scopes.Contains(Scopes.Admin))
                throw Refusals.Operator();
        }
    }

    public sealed record OfUser : Requirement
    {
        public override void Check(Caller caller)
        {
            if (caller.UserId is null)
                throw Refusals.User();
        }
    }
}

/// <summary>
/// What a route needs, said where it is mapped. A route that says nothing needs some caller; one that is open to all says
/// <c>AllowAnonymous()</c>.
/// </summary>
internal static class RequirementExtensions
{
    /// <summary>One of <see cref="Scopes"/>; users have them all.</summary>
    public static T RequireScope<T>(this T builder, string scope) where T : IEndpointConventionBuilder =>
        Scopes.All.Contains(scope)
            ? builder.WithMetadata(new Requirement.OfScope(scope))
            : throw new ArgumentException($"'{scope}' is no scope.", nameof(scope));

    /// <summary>At least this role in the caller's tenant.</summary>
    public static T RequireRole<T>(this T builder, Role role) where T : IEndpointConventionBuilder =>
        builder.WithMetadata(new Requirement.OfRole(role));

    /// <summary>An operator of the installation: a user who is one, or an operator's key with the scope <c>admin</c>.</summary>
    public static T RequireOperator<T>(this T builder) where T : IEndpointConventionBuilder =>
        builder.WithMetadata(new Requirement.OfOperator());

    /// <summary>A person who signed in, not an API key.</summary>
    public static T RequireUser<T>(this T builder) where T : IEndpointConventionBuilder =>
        builder.WithMetadata(new Requirement.OfUser());

    /// <summary>Also for those who signed in with a one-time password.</summary>
    public static T AllowOneTimePassword<T>(this T builder) where T : IEndpointConventionBuilder =>
        builder.WithMetadata(new OneTimePasswordMetadata());
}

/// <summary>Open also to those who must first change their password: how they do that.</summary>
internal sealed record OneTimePasswordMetadata;
