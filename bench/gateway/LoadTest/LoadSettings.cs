using System.Globalization;

namespace ValueCanvas.GatewayBench.LoadTest;

/// <summary>What the command line asks for; what it leaves out the mix says.</summary>
internal sealed record LoadSettings(string Root, Uri? Url, string? Key, double? Seconds, double? Rate)
{
    public static LoadSettings Parse(string[] arguments)
    {
        var settings = new LoadSettings(".", null, Environment.GetEnvironmentVariable("VALUECANVAS_API_KEY"), null, null);
        for (var i = 0; i < arguments.Length; i++)
        {
            var name = arguments[i];
            var value = ++i < arguments.Length ? arguments[i] : throw new ArgumentException($"{name} needs a value.");
            settings = name switch
            {
                "--root" => settings with { Root = Path.GetFullPath(value) },
                "--url" => settings with
                {
                    Url = Uri.TryCreate(value, UriKind.Absolute, out var url)
                        ? url
                        : throw new ArgumentException("--url needs an address."),
                },
                "--key" => settings with { Key = value },
                "--seconds" => settings with { Seconds = Number(value) },
                "--rate" => settings with { Rate = Number(value) },
                _ => throw new ArgumentException($"Unknown option {name}; --help lists them."),
            };
        }

        return settings.Url is not null && settings.Key is null
            ? throw new ArgumentException("--url needs --key, or VALUECANVAS_API_KEY.")
            : settings;

        double Number(string text) => double.TryParse(text, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new ArgumentException($"'{text}' is no number above 0.");
    }
}
