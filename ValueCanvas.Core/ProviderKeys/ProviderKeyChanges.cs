using Npgsql;
using NpgsqlTypes;
using ValueCanvas.Core.Changes;

namespace ValueCanvas.Core.ProviderKeys;

/// <summary>Tenants whose keys of providers changed: they are read anew when they are needed next.</summary>
internal sealed class ProviderKeyChanges(KnownProviderKeys keys) : IChangeFollower
{
    public async Task FollowAsync(NpgsqlConnection connection, ChangesSince since, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT * FROM tenants_of_provider_keys($1)", connection);
        // At first: which tenants have any.
        object within = since.Silence is { } silence ? ChangesSince.LookBack + silence : DBNull.Value;
        command.Parameters.Add(new() { Value = within, NpgsqlDbType = NpgsqlDbType.Interval });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        List<Guid> tenants = [];
        while (await reader.ReadAsync(cancellationToken))
            tenants.Add(reader.GetGuid(0));
        keys.Heard(tenants, since.AskedAt);
    }

    public void NoAnswer() => keys.Away();
}
