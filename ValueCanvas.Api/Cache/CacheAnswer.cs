using System.Globalization;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Cache;

/// <summary>What an answer says of the response cache.</summary>
internal static class CacheAnswer
{
    public static void Write(HttpResponse response, InferenceOutcome outcome)
    {
        response.Headers[CacheHeaders.Status] = CacheHeaders.Text(outcome.Cache);
        if (outcome.Age is { } age)
            response.Headers.Age = ((long)age.TotalSeconds).ToString(CultureInfo.InvariantCulture);
    }
}
