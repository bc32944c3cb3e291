namespace Aspire.Hosting.Orchestration;

/// <summary>The application's output: every line with the name of the resource that wrote it.</summary>
/// <param name="isTest">A test run shows only what went wrong.</param>
internal sealed class ConsoleLog(bool isTest)
{
    private readonly Lock _lock = new();

    public void Line(string resourceId, string line)
    {
        if (!isTest)
            Write(Console.Out, $"[{resourceId}] {line}");
    }

    public void Say(string text)
    {
        if (!isTest)
            Write(Console.Out, text);
    }

    public void Problem(string text) => Write(Console.Error, text);

    private void Write(TextWriter writer, string text)
    {
        lock (_lock)
            writer.WriteLine(text);
    }
}
