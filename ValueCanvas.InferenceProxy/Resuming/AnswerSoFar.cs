using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Resuming;

/// <summary>
/// What has gone out of a stream that is one plain text, as another server needs it to go on: token ids where the server told them, and the
/// text. Both are kept as they stand in the events: numbers with commas, and the inside of a JSON string. What outgrows the limit, or turns
/// out to be more than plain text, or finds the budget of all bodies spent, is lost.
/// </summary>
internal sealed class AnswerSoFar(int maxBytes, BodyBudget budget) : IDisposable
{
    private readonly PooledBytes _prompt = new(budget);
    private readonly PooledBytes _ids = new(budget);
    private readonly PooledBytes _text = new(budget);
    private int _idsSent; // bytes of ids whose text has gone out: the server holds back what is not a whole character yet
    private int _tokensSent;
    private int _tokens;
    private int _events; // with text, of the attempt that is under way
    private bool _withoutIds;
    private int _before; // tokens of attempts that are over
    private bool _lost;

    /// <summary>There is something to go on with.</summary>
    public bool CanGoOn => !_lost && Head is not null;

    /// <summary>The last event had a finish reason: only the stream's end is missing.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>The usage of the whole stream, which comes behind the finish reason, has gone out.</summary>
    public bool HasUsage { get; private set; }

    /// <summary>How each chunk begins: the object's brace, id, kind, time and model, as in the first.</summary>
    public byte[]? Head { get; private set; }

    /// <summary>The prompt and the answer, in tokens with commas between them, are known.</summary>
    public bool HasIds => !_withoutIds && _prompt.Length > 0 && _idsSent > 0;

    public ReadOnlySpan<byte> PromptIds => _prompt.Span;

    public ReadOnlySpan<byte> Ids => _ids.Span[.._idsSent];

    /// <summary>The inside of a JSON string.</summary>
    public ReadOnlySpan<byte> Text => _text.Span;

    /// <summary>Of the client's prompt; zero where no server has told it.</summary>
    public int PromptTokens { get; private set; }

    /// <summary>Of the answer so far: by their ids, else as the servers say, else as many as there were events.</summary>
    public int Tokens => HasIds ? _tokensSent : _before + _events;

    /// <summary>Notes an event that goes out.</summary>
    public void Add(ReadOnlySpan<byte> data, in StreamEvent read)
    {
        if (_lost || read.Signs.HasFlag(EventSigns.Done) || (read.Signs & (EventSigns.Error | EventSigns.Malformed)) != 0)
            return;

        _lost = read.HasMore;
        if (PromptTokens == 0 && read.Usage is { } usage)
        {
            PromptTokens = Math.Max(0, usage.PromptTokens - _before); // whoever goes on has been sent the answer so far with the prompt
        }

        if (_lost || read.HasNoChoices)
        {
            HasUsage |= read.Usage is not null;
            return;
        }

        Head ??= ReadHead(data);
        AddIds(data, read);
        IsFinished |= read.Signs.HasFlag(EventSigns.Finish);
        _lost |= _prompt.Length + _ids.Length + _text.Length > maxBytes;
        if (_lost)
        {
            Dispose(); // for others
        }
    }

    /// <summary>An attempt is over: what its server held back is forgotten, and asked for again.</summary>
    public void Cut(Usage? usage)
    {
        _before += Math.Max(usage?.CompletionTokens ?? 0, _events);
        _events = 0;
        _ids.Truncate(_idsSent);
        _tokens = _tokensSent;
    }

    public void Dispose()
    {
        _prompt.Dispose();
        _ids.Dispose();
        _text.Dispose();
    }

    private void AddIds(ReadOnlySpan<byte> data, in StreamEvent read)
    {
        if (_prompt.Length == 0 && Inside(data, read.PromptTokenIds) is { IsEmpty: false } prompt)
        {
            Keep(_prompt, prompt);
            PromptTokens = prompt.Count((byte)',') + 1;
        }

        var text = Inside(data, read.Text);
        var ids = Inside(data, read.TokenIds);
        if (!ids.IsEmpty)
        {
            if (_ids.Length > 0)
                Keep(_ids, ","u8);

            Keep(_ids, ids);
            _tokens += ids.Count((byte)',') + 1;
        }

        if (!text.IsEmpty)
        {
            _events++;
            Keep(_text, text);
            _withoutIds |= ids.IsEmpty;
        }

        if (!text.IsEmpty || read.Signs.HasFlag(EventSigns.Finish)) // with which nothing is held back any more
        {
            (_idsSent, _tokensSent) = (_ids.Length, _tokens);
        }
    }

    private void Keep(PooledBytes bytes, ReadOnlySpan<byte> more) => _lost |= !bytes.Append(more);

    /// <summary>What stands between the brackets of a list or the quotes of a string.</summary>
    private static ReadOnlySpan<byte> Inside(ReadOnlySpan<byte> data, JsonField field) =>
        field.IsPresent && data[field.Start] is (byte)'[' or (byte)'"' ? data[(field.Start + 1)..(field.End - 1)] : default;

    private static byte[] ReadHead(ReadOnlySpan<byte> data)
    {
        var head = new List<byte>(256) { (byte)'{' };
        var reader = new Utf8JsonReader(data);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var kept = reader.ValueTextEquals("id"u8) || reader.ValueTextEquals("object"u8) || reader.ValueTextEquals("created"u8)
                || reader.ValueTextEquals("model"u8) || reader.ValueTextEquals("system_fingerprint"u8);
            var field = JsonField.Skip(ref reader);
            if (kept)
            {
                head.AddRange(data[field.Name..field.End]);
                head.Add((byte)',');
            }
        }

        return [.. head];
    }
}
