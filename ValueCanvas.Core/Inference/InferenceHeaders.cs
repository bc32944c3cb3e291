namespace ValueCanvas.Core.Inference;

/// <summary>
/// Request headers between the services. The inference proxy believes what they say only beside the secret of <see cref="Key"/>, which is
/// configuration (<c>Inference:InternalKey</c>); nothing of a client's is ever passed on under these names.
/// </summary>
public static class InferenceHeaders
{
    /// <summary>What they all begin with.</summary>
    public const string Prefix = "x-valuecanvas-";

    /// <summary>The secret that Api, Worker and the proxy share.</summary>
    public const string Key = "x-valuecanvas-internal";

    /// <summary>The tenant's id.</summary>
    public const string Tenant = "x-valuecanvas-tenant";

    /// <summary>low, medium, high or critical: which of the model's chains answers.</summary>
    public const string Risk = "x-valuecanvas-risk";

    /// <summary>
    /// Asks for the accounts of a call: in the request a mark of hexadecimal digits that their lines in a stream begin with, in an answer
    /// that is none the accounts.
    /// </summary>
    public const string Accounts = "x-valuecanvas-accounts";

    /// <summary>Followed by a provider's name: the tenant's own key of that provider.</summary>
    public const string ProviderKeyPrefix = "x-valuecanvas-key-";

    /// <summary>Configuration key of the secret.</summary>
    public const string KeySetting = "Inference:InternalKey";
}
