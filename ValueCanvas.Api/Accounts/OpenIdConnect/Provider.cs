using System.Buffers;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Accounts.OpenIdConnect;

/// <summary>One provider: its metadata and keys, which are kept for an hour, and the exchange of a code for an ID token.</summary>
internal sealed class Provider(string name, ProviderOptions options, IHttpClientFactory clients, TimeProvider time)
{
    public const string HttpClientName = "openid-connect";

    private const int MaxAnswerBytes = 512 * 1024;
    private static readonly TimeSpan Fresh = TimeSpan.FromHours(1);

    // Anybody can name a key that there is not.
    private static readonly TimeSpan BetweenReloads = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(10);

    private volatile Kept<ProviderMetadata>? _metadata;
    private volatile Kept<IReadOnlyList<VerificationKey>>? _keys;

    public string Name => name;

    public ProviderOptions Options => options;

    /// <exception cref="ProviderException">The provider does not say, or says what cannot be.</exception>
    public async Task<ProviderMetadata> MetadataAsync(CancellationToken cancellationToken)
    {
        if (_metadata is { } kept && time.GetElapsedTime(kept.At) < Fresh)
            return kept.Value;
        var at = time.GetTimestamp();
        using var request = new HttpRequestMessage(
            HttpMethod.Get, $"{options.Authority!.OriginalString.TrimEnd('/')}/.well-known/openid-configuration");
        using var document = await SendAsync(request, cancellationToken);
        var metadata = ProviderMetadata.Read(document.RootElement, options.Authority) ?? throw new ProviderException("metadata");
        _metadata = new(metadata, at);
        return metadata;
    }

    /// <summary>The provider's keys that a token may be signed with; asked for anew where none of those that are known is it.</summary>
    public async Task<bool> VerifyAsync(CompactJws token, CancellationToken cancellationToken)
    {
        var metadata = await MetadataAsync(cancellationToken);
        var candidates = Candidates(await KeysAsync(metadata, Fresh, cancellationToken), token);
        if (candidates.Count == 0)
            candidates = Candidates(await KeysAsync(metadata, BetweenReloads, cancellationToken), token);
        return candidates.Exists(key => key.Verify(token));
    }

    /// <summary>The ID token that a code is exchanged for.</summary>
    public async Task<string> ExchangeAsync(string code, string redirectUri, string verifier, CancellationToken cancellationToken)
    {
        var metadata = await MetadataAsync(cancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Post, metadata.Token);
        var form = new Dictionary<string, string>
        {
            ["grant_type"] = "authorization_code",
            ["code"] = code,
            ["redirect_uri"] = redirectUri,
            ["code_verifier"] = verifier,
        };
        if (options.ClientSecret is { Length: > 0 } secret && metadata.TakesBasic)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(
                Encoding.UTF8.GetBytes($"{Uri.EscapeDataString(options.ClientId)}:{Uri.EscapeDataString(secret)}")));
        }
        else
        {
            form["client_id"] = options.ClientId;
            if (options.ClientSecret is { Length: > 0 } inForm)
                form["client_secret"] = inForm;
        }

        request.Content = new FormUrlEncodedContent(form);
        using var answer = await SendAsync(request, cancellationToken);
        return answer.RootElement.ValueKind == JsonValueKind.Object && new Claims(answer.RootElement).Text("id_token") is { } token
            ? token
            : throw new ProviderException("token");
    }

    private static List<VerificationKey> Candidates(IReadOnlyList<VerificationKey> keys, CompactJws token) =>
        [.. keys.Where(key => key.Algorithm == token.Algorithm && (token.KeyId is null ? keys.Count == 1 : key.Id == token.KeyId))];

    private async Task<IReadOnlyList<VerificationKey>> KeysAsync(
        ProviderMetadata metadata, TimeSpan maxAge, CancellationToken cancellationToken)
    {
        if (_keys is { } kept && time.GetElapsedTime(kept.At) < maxAge)
            return kept.Value;
        var at = time.GetTimestamp();
        using var request = new HttpRequestMessage(HttpMethod.Get, metadata.Keys);
        using var set = await SendAsync(request, cancellationToken);
        if (set.RootElement.ValueKind != JsonValueKind.Object || !set.RootElement.TryGetProperty("keys", out var keys)
            || keys.ValueKind != JsonValueKind.Array)
        {
            throw new ProviderException("keys");
        }

        IReadOnlyList<VerificationKey> usable = [.. keys.EnumerateArray().Select(VerificationKey.FromJwk).OfType<VerificationKey>()];
        _keys = new(usable, at);
        return usable;
    }

    private async Task<JsonDocument> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(Bound, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
            using var response = await clients.CreateClient(HttpClientName)
                .SendAsync(request, HttpCompletionOption.ResponseHeadersRead, joined.Token);
            if (!response.IsSuccessStatusCode)
                throw new ProviderException("status");
            await using var body = await response.Content.ReadAsStreamAsync(joined.Token);
            return JsonDocument.Parse(
                await ReadAsync(body, joined.Token), new JsonDocumentOptions { MaxDepth = 32, AllowDuplicateProperties = false });
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested
            && exception is HttpRequestException or IOException or OperationCanceledException or JsonException)
        {
            throw new ProviderException("answer", exception);
        }
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(Stream body, CancellationToken cancellationToken)
    {
        var buffer = new ArrayBufferWriter<byte>(8192);
        int read;
        while ((read = await body.ReadAsync(buffer.GetMemory(8192), cancellationToken)) > 0)
        {
            buffer.Advance(read);
            if (buffer.WrittenCount > MaxAnswerBytes)
                throw new ProviderException("size");
        }

        return buffer.WrittenMemory;
    }

    private sealed record Kept<T>(T Value, long At);
}

/// <summary>A provider is away, or answers what cannot be used.</summary>
internal sealed class ProviderException(string what, Exception? inner = null) : Exception($"The provider's {what} cannot be used.", inner)
{
    public string What => what;
}
