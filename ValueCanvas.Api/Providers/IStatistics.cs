using System.Text.Json.Nodes;
using ValueCanvas.Api.Authentication;

namespace ValueCanvas.Api.Providers;

/// <summary>A part of <c>GET /api/llm/stats</c> that another feature knows; of the caller's tenant alone.</summary>
internal interface IStatistics
{
    /// <summary>Its field under <c>data</c>.</summary>
    string Name { get; }

    /// <summary>Null where it cannot be told now; a dependency that is away fails nothing.</summary>
    ValueTask<JsonNode?> ReadAsync(Caller caller, CancellationToken cancellationToken);
}
