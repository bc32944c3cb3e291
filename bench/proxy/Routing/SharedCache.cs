namespace ValueCanvas.ProxyBench.Routing;

/// <summary>What one cache for everybody would hit: least recently used blocks go first, of a request its last ones before its
/// first.</summary>
internal static class SharedCache
{
    public static double HitRate(IReadOnlyList<TraceRequest> requests, int capacity, int blockTokens)
    {
        var order = new LinkedList<int>();
        var cached = new Dictionary<int, LinkedListNode<int>>();
        var answer = -1;
        double hit = 0, total = 0;
        foreach (var request in requests)
        {
            var found = request.Blocks.TakeWhile(cached.ContainsKey).Count();
            total += request.InputTokens;
            hit += Math.Min((long)found * blockTokens, request.InputTokens - 1); // the last token is always computed
            // Answers take room, too, and nobody asks for them again.
            for (var i = 0; i < request.OutputTokens / blockTokens; i++)
                Touch(order, cached, answer--, capacity);

            foreach (var block in request.Blocks.Reverse())
                Touch(order, cached, block, capacity);
        }

        return hit / total;
    }

    private static void Touch(LinkedList<int> order, Dictionary<int, LinkedListNode<int>> cached, int block, int capacity)
    {
        if (cached.TryGetValue(block, out var node))
        {
            order.Remove(node);
            order.AddLast(node);
            return;
        }

        cached[block] = order.AddLast(block);
        if (cached.Count > capacity)
        {
            cached.Remove(order.First!.Value);
            order.RemoveFirst();
        }
    }
}
