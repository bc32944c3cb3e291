using System.Buffers;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Accounts;

/// <summary>
/// Stands in for the body of a response whose caller is told the accounts: as comments between the events of a stream, in a header of any
/// other answer. What the caller would have got otherwise passes as it is.
/// </summary>
internal sealed class AccountedResponse : WriteOnlyStream
{
    public const string Header = "x-valuecanvas-accounts";

    private readonly HttpResponse _response;
    private readonly Stream _client;
    private readonly CallAccounts _accounts;
    private readonly ArrayBufferWriter<byte> _output = new(512);
    private (byte BeforeLast, byte Last) _tail = ((byte)'\n', (byte)'\n');

    public AccountedResponse(HttpResponse response, CallAccounts accounts)
    {
        (_response, _client, _accounts) = (response, response.Body, accounts);
        response.Body = this;
        response.OnStarting(Begin);
    }

    private bool IsEventStream => _response.ContentType?.StartsWith("text/event-stream", StringComparison.Ordinal) == true;

    // A piece of an event too large to be held back is no place for a comment.
    private bool IsBetweenEvents => _tail is ((byte)'\n', (byte)'\n');

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty || !IsEventStream)
            return _client.WriteAsync(buffer, cancellationToken);

        var between = IsBetweenEvents;
        _tail = (buffer.Length > 1 ? buffer.Span[^2] : _tail.Last, buffer.Span[^1]);
        if (!between || !_accounts.TryTell(_output))
            return _client.WriteAsync(buffer, cancellationToken);

        _output.Write(buffer.Span);
        return SendAsync(cancellationToken);
    }

    /// <summary>Behind the last event.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        if (!_response.HasStarted || !IsEventStream)
            return;

        // The last event may lack its empty line.
        ReadOnlySpan<byte> open = IsBetweenEvents ? default : "\n\n"u8;
        byte[] last = [.. open, .. _accounts.LastLine()];
        try
        {
            await _client.WriteAsync(last, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // It has left, and knows what it was told until then.
        }
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => _client.FlushAsync(cancellationToken);

    private Task Begin()
    {
        if (!IsEventStream)
            _response.Headers[Header] = _accounts.Header();

        return Task.CompletedTask;
    }

    private async ValueTask SendAsync(CancellationToken cancellationToken)
    {
        await _client.WriteAsync(_output.WrittenMemory, cancellationToken);
        _output.ResetWrittenCount();
    }
}
