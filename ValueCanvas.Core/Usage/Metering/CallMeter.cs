using System.Buffers.Text;
using System.Text.Json;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>Reads the accounts that the proxy tells of a call, into its outcome.</summary>
internal sealed class CallMeter(InferenceCall call)
{
    private bool _isWhole;

    /// <summary>The proxy has told counts.</summary>
    public bool HasUsage => call.Outcome.UsageSource != UsageSource.Estimated && call.Outcome.Usage is not null;

    /// <summary>A line of the accounts without its mark: four counts, or all of it as JSON.</summary>
    public void Told(ReadOnlySpan<byte> line)
    {
        line = line.Trim(" \r\n"u8);
        if (line.StartsWith("{"u8))
            ReadAll(line);
        else
            ReadCounts(line);
    }

    /// <summary>The usage that stands in an answer itself.</summary>
    public void Told(TokenUsage usage) => Set(usage, UsageSource.Reported);

    /// <summary>The answer has come to its end.</summary>
    public void Ended(bool whole)
    {
        if (!whole && !_isWhole)
            return;
        call.Outcome.IsComplete = true;
        if (_isWhole && call.Outcome.Usage is not null)
            call.Outcome.UsageSource = UsageSource.Reported;
    }

    private void ReadCounts(ReadOnlySpan<byte> line)
    {
        Span<int> counts = stackalloc int[4];
        for (var i = 0; i < counts.Length; i++)
        {
            line = line.TrimStart((byte)' ');
            if (!Utf8Parser.TryParse(line, out counts[i], out var read))
                return;
            line = line[read..];
        }

        Set(new TokenUsage(counts[0], counts[1], counts[2], counts[3]), UsageSource.Running);
    }

    private void ReadAll(ReadOnlySpan<byte> json)
    {
        WireAccounts? accounts;
        try
        {
            accounts = JsonSerializer.Deserialize(json, AccountsContext.Default.WireAccounts);
        }
        catch (JsonException)
        {
            return; // a proxy of another build: the call is worth more than its accounts
        }

        if (accounts is null)
            return;
        _isWhole = accounts.Whole;
        call.Outcome.Attempts = [.. (accounts.Attempts ?? []).Select(attempt => attempt.ToAttempt())];
        if (call.Outcome.Attempts.LastOrDefault(attempt => attempt.IsAnswer) is { } answer)
        {
            call.Outcome.Model = answer.Model;
            call.Outcome.Provider = answer.Provider;
        }

        if (WireAttempt.ToUsage(accounts.Usage) is { } usage)
            Set(usage, accounts.Whole ? UsageSource.Reported : UsageSource.Running);
    }

    private void Set(TokenUsage usage, UsageSource source)
    {
        call.Outcome.Usage = usage;
        call.Outcome.UsageSource = source;
    }
}
