using System.Collections.Frozen;

namespace ValueCanvas.Api.Authentication;

/// <summary>What an API key can be good for. People who sign in have all of them: their role says what they may do.</summary>
internal static class Scopes
{
    /// <summary>Ask models: <c>/v1</c>, <c>/api/llm</c>, <c>/generate</c>.</summary>
    public const string Llm = "llm";

    /// <summary>Generate and read canvases.</summary>
    public const string Canvas = "canvas";

    /// <summary>Submit and read jobs.</summary>
    public const string Queue = "queue";

    /// <summary>Manage API keys, none of which may do more than the key that makes it.</summary>
    public const string Keys = "keys";

    /// <summary>Manage the tenant: members, invitations, provider keys, audit log.</summary>
    public const string Tenant = "tenant";

    /// <summary>Operate the installation, where the key is an operator's.</summary>
    public const string Admin = "admin";

    public static readonly FrozenSet<string> All = new[] { Llm, Canvas, Queue, Keys, Tenant, Admin }.ToFrozenSet(StringComparer.Ordinal);
}
