using System.Globalization;

namespace ValueCanvas.ProxyBench.Processes;

/// <summary>What all cores together have done since the machine started.</summary>
internal sealed record MachineCpu(long Busy, long Total)
{
    public static MachineCpu Read()
    {
        var fields = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1)
            .Select(f => long.Parse(f, CultureInfo.InvariantCulture)).ToArray();
        return new MachineCpu(fields.Sum() - fields[3] - fields[4], fields.Sum()); // 3 and 4: idle, waiting for a disk
    }

    public double BusySince(MachineCpu before) => Total == before.Total ? 0 : (double)(Busy - before.Busy) / (Total - before.Total);
}
