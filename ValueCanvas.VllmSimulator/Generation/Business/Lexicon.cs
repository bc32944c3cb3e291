using System.Collections.Frozen;

namespace ValueCanvas.VllmSimulator.Generation.Business;

/// <summary>The closed word lists by which a description is read.</summary>
internal static class Lexicon
{
    public static readonly FrozenSet<string> Articles = Words("a an the this these those our my your their its his her some any");

    public static readonly FrozenSet<string> Pronouns = Words("we i they it you he she us them");

    public static readonly FrozenSet<string> Relatives = Words("that which who where whose whom when while so because");

    public static readonly FrozenSet<string> Connectors =
        Words("for to by in at near around across throughout inside with via through from on between of and or & plus into onto over "
            + "about without within against under during before after as than like if is are was were be been being has have had "
            + "can could will would should may might must not no but nor such also only just very more most other each every all both "
            + "either instead based using per what why how do does did using up down out off");

    public static readonly FrozenSet<string> Making =
        Verbs("collect deliver sell offer provide make produce bake build create develop design grow supply manufacture run rent lease "
            + "repair "
            + "publish organise organize specialise specialize ship distribute roast brew cook craft host operate market install "
            + "maintain clean store transport import export print write record show exhibit collect restore breed raise prepare "
            + "include combine give bring plan arrange manage automate monitor measure track predict forecast generate analyse analyze "
            + "recycle refurbish translate teach sew weave paint fix convert process pack serve invent engineer perform stream open "
            + "fund finance sponsor handle mill own focus");

    public static readonly FrozenSet<string> Helping =
        Verbs("help enable allow let support advise train coach empower assist represent defend treat protect care accompany guide "
            + "inform educate feed house shelter mentor target employ invite reach welcome consult");

    public static readonly FrozenSet<string> Connecting = Verbs("connect match link introduce pair");

    /// <summary>Verbs of what customers do; only where a verb is expected.</summary>
    public static readonly FrozenSet<string> Doing =
        Verbs("cut reduce save find get buy learn improve book order compare choose increase avoid meet share use lower earn win keep "
            + "understand detect prevent replace control speed start hire recruit schedule simplify file pay settle apply reuse trade "
            + "exchange tutor drink eat rest fight explore discover enjoy practise practice send pass store need want look live work stay "
            + "travel visit rent protect prepare");

    private static readonly FrozenSet<string> MakingPlainForms = Words(
        "designs plans rents hosts markets stores ships prints records shows runs brews builds tours supplies repairs processes packs "
        + "mills paints measures tracks forecasts monitors streams leases cooks crafts exports imports fixes guides houses targets coaches "
        + "trains supports matches links pairs opens funds sponsors handles cares feeds shelters mentors makes needs wants looks works");

    public static readonly FrozenSet<string> TimeUnits = Words("hour day week month year minute night season kilo piece");

    public static readonly FrozenSet<string> PlaceWords =
        Words("city cities town towns village villages region country countries countryside centre center district neighbourhood "
            + "neighborhood suburbs island islands coast alps valley airport europe county province capital harbour port");

    public static readonly FrozenSet<string> Adverbs = Words(
        "locally freshly directly worldwide quickly easily nationwide mainly also together today currently especially fully remotely "
        + "specially twice once safely cheaply");

    /// <summary>What is dropped at the end of a phrase.</summary>
    public static readonly FrozenSet<string> Trailing = Words("online weekly daily monthly yearly home nearby abroad together early late");

    /// <summary>Function words of German, French, Spanish, Portuguese, Italian and Dutch that are no English words.</summary>
    public static readonly FrozenSet<string> Foreign = Words(
        "der das ein eine einen einer eines und mit für von dem den des im auf wir ist sind die le les un une et pour avec dans aux du "
        + "el los las una y con que por da dos uma um os il di che della het een van voor zur zum bei nach la "
        + "wie kann ich mein was warum dass ihr unser comment pourquoi je mon notre qué cómo mi meu minha o não come perché mijn hoe");

    /// <summary>What ends a phrase where it stands behind a noun.</summary>
    public static readonly FrozenSet<string> Participles = Words(
        "made based founded owned led baked grown designed built located known called named powered driven produced delivered sold "
        + "aimed focused dedicated special good great successful important better different popular possible cheap expensive unique");

    /// <summary>Ventures that are what is sold.</summary>
    public static readonly FrozenSet<string> Products = Words(
        "app apps application platform software saas tool tools service services marketplace device devices sensor sensors robot robots "
        + "game games kit kits box boxes subscription subscriptions website system systems machine machines bike bikes drone drones "
        + "newsletter podcast magazine book toy toys plugin api chatbot assistant network portal course courses product products "
        + "solution solutions battery batteries wearable scooter scooters lamp furniture cosmetics");

    private static readonly FrozenSet<string> PeopleHeads = Words(
        "people families parents clients patients students residents women men children kids girls boys teenagers tourists guests "
        + "restaurants cafes cafés bars shops stores bakeries offices companies businesses firms startups start-ups teams schools "
        + "universities colleges kindergartens clinics hospitals practices pharmacies farms vineyards wineries breweries hotels hostels "
        + "households homes couples smes freelancers cities towns municipalities communities villages clubs associations charities ngos "
        + "non-profits nonprofits organisations organizations agencies authorities governments factories plants warehouses brands "
        + "studios museums libraries theatres theaters galleries landlords tenants hosts adults seniors pensioners retirees refugees "
        + "migrants immigrants newcomers expats professionals executives staff crews boards neighbours neighbors friends fans "
        + "commuters enthusiasts beginners amateurs merchants vendors utilities banks insurers hobbyists cooperatives co-ops "
        + "supermarkets groceries florists dentists accountants pupils toddlers babies victims citizens participants applicants agents "
        + "consultants assistants migrants dogs cats pets individuals millennials graduates groups institutions kitchens campuses "
        + "ministries councils embassies departments smallholders churches airlines carriers labs laboratories landowners cafeterias");

    private static readonly FrozenSet<string> NotPeople = Words(
        "trailers papers computers scooters flowers numbers containers dinners letters posters orders covers towers sneakers chargers "
        + "stickers burgers newsletters sensors doors motors monitors colors colours indoors outdoors tractors generators papers printers "
        + "filters layers servers routers controllers trackers speakers headers offers answers matters wafers boilers heaters coolers "
        + "mirrors errors floors rivers others compressors inverters batteries transformers razors lasers timers counters summers winters "
        + "dishwashers cookers blenders mixers folders adapters fibers fibres wonders thrillers platformers shooters weathers years "
        + "sweaters dressers screwdrivers charters tenders");

    private static readonly FrozenSet<string> Singulars = Words(
        "business bus gas glass class access press fitness wellness news series sales-less mathematics physics logistics electronics "
        + "ethics atlas campus genius process express address dress boss canvas yes plus less chess");

    /// <summary>Words that say nothing about a business alone.</summary>
    public static readonly FrozenSet<string> Empty = Words(
        "thing things stuff lot lots way ways kind kinds type types range variety number everything something anything idea business "
        + "company startup start-up project description test example special firm one two three four five many few several new young "
        + "small large own high good quality top same first yes use order time general addition "
        + "hello hi please tell describe explain write list give");

    public static bool IsPeople(string phrase)
    {
        var head = Head(phrase);
        return PeopleHeads.Contains(head) || (head.Length > 4 && !NotPeople.Contains(head)
            && (head.EndsWith("ers", StringComparison.Ordinal) || head.EndsWith("ors", StringComparison.Ordinal)
                || head.EndsWith("ists", StringComparison.Ordinal) || head.EndsWith("ians", StringComparison.Ordinal)
                || head.EndsWith("eers", StringComparison.Ordinal) || head.EndsWith("ees", StringComparison.Ordinal)));
    }

    public static bool IsPlural(string phrase)
    {
        var head = Head(phrase);
        return head is "people" or "children" or "men" or "women" or "staff"
            || (head.Length > 3 && head[^1] == 's' && head[^2] is not ('s' or 'u' or 'i') && !Singulars.Contains(head));
    }

    /// <summary>Where a verb may stand: in any form.</summary>
    public static bool IsVerb(string word) =>
        Making.Contains(word) || Helping.Contains(word) || Connecting.Contains(word) || Doing.Contains(word);

    /// <summary>A form that is hardly ever a noun or an adjective: "offers", "delivering".</summary>
    public static bool IsPlainlyVerb(string word) =>
        (Making.Contains(word) || Helping.Contains(word) || Connecting.Contains(word))
        && (word.EndsWith("ing", StringComparison.Ordinal) ? word is not ("cleaning" or "coaching" or "training" or "brewing" or "writing"
                or "engineering" or "recording" or "printing" or "recycling" or "cooking" or "painting" or "teaching" or "streaming"
                or "marketing" or "planning" or "financing" or "building" or "opening" or "feeding" or "milling" or "housing"
                or "mentoring" or "consulting" or "tracking" or "packing" or "monitoring" or "processing" or "caring" or "performing")
            : word.EndsWith('s') && !MakingPlainForms.Contains(word));

    public static string Head(string phrase)
    {
        var of = phrase.IndexOf(" of ", StringComparison.Ordinal);
        var last = of > 0 ? phrase[..of] : phrase;
        return last[(last.LastIndexOf(' ') + 1)..].ToLowerInvariant();
    }

    private static FrozenSet<string> Words(string words) => words.Split(' ').ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static FrozenSet<string> Verbs(string bases)
    {
        var forms = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var verb in bases.Split(' '))
        {
            var stem = verb[^1] == 'e' && !verb.EndsWith("ee", StringComparison.Ordinal) ? verb[..^1] : verb;
            forms.Add(verb);
            forms.Add(verb is [.., 's' or 'x' or 'h'] ? verb + "es" : verb is [.., not ('a' or 'e' or 'o' or 'u'), 'y'] ? verb[..^1] + "ies"
                : verb + "s");
            forms.Add(stem + "ing");
            // get - getting, plan - planning.
            if (verb is [.., not ('a' or 'e' or 'i' or 'o' or 'u'), 'a' or 'e' or 'i' or 'o' or 'u', 't' or 'n' or 'p' or 'm'])
                forms.Add(verb + verb[^1] + "ing");
        }
        return forms.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    }
}
