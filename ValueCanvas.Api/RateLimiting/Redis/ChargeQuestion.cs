using System.Buffers;
using StackExchange.Redis;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>What Redis is asked for one request.</summary>
/// <param name="Charges">All that it costs.</param>
/// <param name="Id">The request's.</param>
/// <param name="Lifetime">Of what it holds, in microseconds.</param>
/// <param name="Restored">For each charge the level that Redis has forgotten, or 0.</param>
/// <param name="IsAdmitted">It runs already: Redis counts it whatever the limit says, and tells whether it would have fitted.</param>
internal sealed record ChargeQuestion(IReadOnlyList<Charge> Charges, string Id, long Lifetime, long[] Restored, bool IsAdmitted)
{
    private const int PartsOfARequest = 2;
    private const int PartsOfACharge = 8;
    private const int NumbersOfARequest = 2;
    private const int NumbersOfAReading = 7;

    /// <summary>How far this instance had come when it asked: see <see cref="Said"/>.</summary>
    public long Asked { get; init; }

    /// <summary>Asks for all of them at once; Redis decides in this order.</summary>
    public static async Task<ChargeAnswer[]> AskAsync(IDatabase database, RedisKey clock, IReadOnlyList<ChargeQuestion> questions)
    {
        var packed = new ArrayBufferWriter<byte>(256 * questions.Count);
        PackedNumbers.WriteHead(packed, questions.Sum(question => PartsOfARequest + question.Charges.Count * PartsOfACharge));
        List<RedisKey> keys = [clock];
        foreach (var question in questions)
            question.Write(packed, keys);

        var numbers = PackedNumbers.Read(await RedisScript.Charge.AskAsync(database, [.. keys], [packed.WrittenSpan.ToArray()]));
        var answers = new ChargeAnswer[questions.Count];
        for (int i = 0, at = 2; i < answers.Length; i++)
        {
            answers[i] = questions[i].Read(numbers, at, i);
            at += NumbersOfARequest + questions[i].Charges.Count * NumbersOfAReading;
        }

        return answers;
    }

    private void Write(ArrayBufferWriter<byte> packed, List<RedisKey> keys)
    {
        PackedNumbers.Write(packed, Id);
        PackedNumbers.Write(packed, Charges.Count);
        for (var i = 0; i < Charges.Count; i++)
        {
            var charge = Charges[i];
            var policy = charge.Policy;
            keys.Add(charge.Key);
            if (policy.IsReclaimable)
                keys.Add(KeyNames.Records(charge.Key));
            PackedNumbers.Write(packed, KeyNames.Letter(policy.Algorithm));
            PackedNumbers.Write(packed, charge.Limit);
            PackedNumbers.Write(packed, policy.WindowMicros);
            PackedNumbers.Write(packed, charge.BurstMicros);
            PackedNumbers.Write(packed, charge.Cost);
            PackedNumbers.Write(packed, (policy.Shadow ? 1 : 0) + (policy.IsReclaimable ? 2 : 0) + (IsAdmitted ? 4 : 0));
            PackedNumbers.Write(packed, Lifetime);
            PackedNumbers.Write(packed, Restored[i]);
        }
    }

    private ChargeAnswer Read(long[] numbers, int at, int place)
    {
        var (readings, levels) = (new Reading[Charges.Count], new long[Charges.Count]);
        var binding = numbers[at] == 1 ? (int)numbers[at + 1] - 1 : -1;
        at += NumbersOfARequest;
        for (var i = 0; i < readings.Length; i++, at += NumbersOfAReading)
        {
            readings[i] = new(
                Charges[i], numbers[at] == 1, numbers[at + 1], numbers[at + 2], numbers[at + 3], numbers[at + 5], numbers[at + 6]);
            levels[i] = numbers[at + 4];
        }

        var said = new Said(Asked, numbers[1], numbers[0], place);
        return new(new LimitDecision(Id, readings, binding, counted: true, said.Epoch), levels, said);
    }
}

/// <summary>What Redis said.</summary>
/// <param name="Decision">On the request.</param>
/// <param name="Levels">For each charge, how full its count is then.</param>
/// <param name="Said">When.</param>
internal sealed record ChargeAnswer(LimitDecision Decision, long[] Levels, Said Said);
