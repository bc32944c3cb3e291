using Microsoft.AspNetCore.Identity;
using Microsoft.AspNetCore.Identity.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ValueCanvas.Api.Accounts.Users;

/// <summary>Identity's view of the tables that Core's migrations make. Use it through <see cref="AccountDatabase"/>.</summary>
internal sealed class AccountsDbContext(DbContextOptions<AccountsDbContext> options) : IdentityUserContext<User, Guid>(options)
{
    protected override void OnModelCreating(ModelBuilder builder)
    {
        base.OnModelCreating(builder);
        // No user has claims of its own, and no token but those of sessions.
        builder.Ignore<IdentityUserClaim<Guid>>();
        builder.Ignore<IdentityUserToken<Guid>>();
        builder.Ignore<IdentityUserPasskey<Guid>>();
        builder.Entity<User>(MapUsers);
        builder.Entity<IdentityUserLogin<Guid>>(MapLogins);
    }

    private static void MapUsers(EntityTypeBuilder<User> user)
    {
        user.ToTable("users");
        user.Property(row => row.Id).HasColumnName("id").ValueGeneratedNever();
        user.Property(row => row.UserName).HasColumnName("user_name").HasColumnType("text");
        user.Property(row => row.NormalizedUserName).HasColumnName("normalized_user_name").HasColumnType("text");
        user.Property(row => row.Email).HasColumnName("email").HasColumnType("text");
        user.Property(row => row.NormalizedEmail).HasColumnName("normalized_email").HasColumnType("text");
        user.Property(row => row.EmailConfirmed).HasColumnName("email_confirmed");
        user.Property(row => row.PasswordHash).HasColumnName("password_hash");
        user.Property(row => row.SecurityStamp).HasColumnName("security_stamp");
        user.Property(row => row.ConcurrencyStamp).HasColumnName("concurrency_stamp");
        user.Property(row => row.DisplayName).HasColumnName("display_name");
        user.Property(row => row.IsOperator).HasColumnName("is_operator").ValueGeneratedOnAddOrUpdate();
        user.Property(row => row.DisabledAt).HasColumnName("disabled_at").ValueGeneratedOnAddOrUpdate();
        user.Property(row => row.CreatedAt).HasColumnName("created_at").ValueGeneratedOnAddOrUpdate();

        // The database lets nobody change these.
        string[] names = [nameof(User.UserName), nameof(User.NormalizedUserName), nameof(User.Email), nameof(User.NormalizedEmail)];
        foreach (var name in names)
            user.Property(name).Metadata.SetAfterSaveBehavior(PropertySaveBehavior.Ignore);

        // Lock-out is counted per account and network, not per account; there are no phones.
        user.Ignore(row => row.PhoneNumber);
        user.Ignore(row => row.PhoneNumberConfirmed);
        user.Ignore(row => row.TwoFactorEnabled);
        user.Ignore(row => row.LockoutEnd);
        user.Ignore(row => row.LockoutEnabled);
        user.Ignore(row => row.AccessFailedCount);
    }

    private static void MapLogins(EntityTypeBuilder<IdentityUserLogin<Guid>> login)
    {
        login.ToTable("user_logins");
        login.Property(row => row.LoginProvider).HasColumnName("login_provider").HasColumnType("text");
        login.Property(row => row.ProviderKey).HasColumnName("provider_key").HasColumnType("text");
        login.Property(row => row.ProviderDisplayName).HasColumnName("provider_display_name");
        login.Property(row => row.UserId).HasColumnName("user_id");
    }
}
