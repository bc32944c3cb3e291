using System.Net.Sockets;
using Npgsql;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Usage;

/// <summary>A way to PostgreSQL that can be cut, and mended.</summary>
internal sealed class SeveredProxy(NpgsqlConnectionStringBuilder server) : TcpFaultProxy(server.Host!, server.Port)
{
    private volatile bool _cut;

    public SeveredProxy(string connectionString) : this(new NpgsqlConnectionStringBuilder(connectionString))
    {
    }

    public string ConnectionString => new NpgsqlConnectionStringBuilder(server.ConnectionString) { Host = "127.0.0.1",
        Port = Port }.ConnectionString;

    public void Cut() => _cut = true;

    public void Mend() => _cut = false;

    protected override async Task<bool> PassAsync(
        ReadOnlyMemory<byte> bytes, TcpClient from, TcpClient to, bool fromClient, CancellationToken stop)
    {
        if (_cut)
            return false;
        await to.GetStream().WriteAsync(bytes, stop);
        return true;
    }
}
