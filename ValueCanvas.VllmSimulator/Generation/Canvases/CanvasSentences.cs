using System.Collections.Frozen;

namespace ValueCanvas.VllmSimulator.Generation.Canvases;

/// <summary>Sentences per block, with the places where the business's own words go.</summary>
internal static class CanvasSentences
{
    private static readonly FrozenDictionary<string, string[]> Templates = new Dictionary<string, string[]>
    {
        ["customerjobs"] =
        [
            "Get a grip on {topic} with little effort.", "Compare options for {offer} and pick one with confidence.",
            "Keep {topic} under control from week to week.", "Show others that money spent on {topic} pays off.",
            "Plan ahead for {other} without extra staff.",
        ],
        ["pains"] =
        [
            "Too much time goes into {topic} by hand.", "Costs of {topic} are hard to predict.",
            "{people} do not see early enough when {topic} goes wrong.", "Existing tools ignore {other} and add work.",
            "A wrong decision about {topic} is expensive to undo.",
        ],
        ["gains"] =
        [
            "{people} have hours left every week for what matters to them.", "Clear figures show what {offer} brings.",
            "Fewer surprises with {topic} and steadier income.", "Pride in handling {other} better than others in {industry}.",
            "A simple start with first results within days.",
        ],
        ["productsandservices"] =
        [
            "{offer} at the centre of what is sold.", "Guided set-up for {people} in less than a day.",
            "Reports about {topic} that a beginner understands.", "Support by people who know {industry}.",
            "Add-ons for {other} when a customer grows.",
        ],
        ["painrelievers"] =
        [
            "{offer} takes over the manual part of {topic}.", "Early warnings before {topic} becomes costly.",
            "A fixed price makes spending on {other} predictable.", "One place for {topic} instead of several lists.",
            "Trial without risk, so that a wrong choice can be undone.",
        ],
        ["gaincreators"] =
        [
            "Time saved on {topic} goes back to {people}.", "Benchmarks from {industry} show where to improve.",
            "Visible progress with {topic} from the first month.", "Recommendations for {other} fit each customer's own data.",
            "Customers can share results and win new business with them.",
        ],
        ["customersegments"] =
        [
            "{people} who look for {offer}.", "Smaller organisations in {industry} that handle {topic} themselves.",
            "Early adopters who care about {topic} and decide quickly.", "Larger buyers who want {other} at several sites.",
            "Partners and advisers who recommend solutions to {people}.",
        ],
        ["valuepropositions"] =
        [
            "{offer} that fits how {people} already work.", "Less effort with {topic} from the first week.",
            "Transparent results for {topic}, measured and easy to share.", "A fair price that grows with use.",
            "Know-how of {industry} built in, also for {other}.",
        ],
        ["channels"] =
        [
            "Own website with a short demonstration of {offer}.", "Associations and trade fairs of {industry}.",
            "Recommendations by satisfied {people}.", "Partners who already advise on {topic}.", "Useful articles and newsletters about {other}.",
        ],
        ["customerrelationships"] =
        [
            "Personal onboarding for new {people}.", "Self-service for daily questions about {topic}.",
            "A community where {people} exchange what works.", "Regular check-ins on results with {topic}.", "Fast help by chat and telephone when questions about {other} are urgent.",
        ],
        ["revenuestreams"] =
        [
            "Monthly fee for {offer}.", "A higher plan for larger customers with special needs around {topic}.",
            "One-time fee for set-up and training of {people}.", "Commission from partners around {topic}.", "Paid reports about {other} for {industry}.",
        ],
        ["keyresources"] =
        [
            "The platform behind {offer}.", "A team that knows {industry} and its {people}.", "Data about {topic} collected with consent.",
            "A brand that {people} trust.", "Contracts and partners for {other}.",
        ],
        ["keyactivities"] =
        [
            "Develop and run {offer}.", "Win and onboard {people}.", "Improve results around {topic} with feedback from users.",
            "Look after partners in {industry}.", "Measure results around {other} and publish them.",
        ],
        ["keypartners"] =
        [
            "Associations that represent {people}.", "Suppliers and technology providers for {topic}.", "Advisers who know {industry} well.",
            "Payment and logistics providers around {offer}.", "Universities or institutes that study {other}.",
        ],
        ["coststructure"] =
        [
            "Salaries for development and support of {offer}.", "Marketing to reach {people}.", "Hosting, tools and licences for {topic}.",
            "Travel, fairs and partner fees in {industry}.", "Reserves for compliance and {other}.",
        ],
        ["problem"] =
        [
            "{people} lose time and money with {topic}.", "Today's answers to {topic} are built for larger players in {industry}.",
            "Nobody shows {people} early what {other} really costs.", "Switching between tools for {topic} leads to mistakes.",
            "Knowledge about {other} sits in a few heads.",
        ],
        ["existingalternatives"] =
        [
            "Spreadsheets and paper lists for {topic}.", "General software that does not know {industry}.", "Doing nothing and accepting losses around {topic}.",
            "Consultants who are hired when {other} becomes urgent.",
        ],
        ["solution"] =
        [
            "{offer} that takes over the routine around {topic}.", "A clear overview of {topic} every morning.",
            "Suggestions for {other} that {people} accept with one click.", "Connections to the tools {people} already use.",
        ],
        ["uniquevalueproposition"] =
        [
            "{offer} made for {people}, running in a day.", "The simplest way to get {topic} right in {industry}.",
            "Proof in figures that {topic} gets better, or the month is free.", "Everything about {other} in one place, without new staff.",
        ],
        ["highlevelconcept"] =
        [
            "A co-pilot for {topic}.", "What online banking did for accounts, done for {topic}.", "{offer} as easy as ordering a taxi.",
        ],
        ["unfairadvantage"] =
        [
            "Data about {topic} that others cannot buy.", "Close ties to {people} from the founders' own work.", "Partners in {industry} bound early.",
            "A learning effect: every customer makes {other} better for all.",
        ],
        ["earlyadopters"] =
        [
            "{people} who already measure {topic}.", "Owners who plan to grow within the next year.", "Members of networks in {industry} that like to try new things.",
            "Those for whom {other} was costly last season.",
        ],
        ["keymetrics"] =
        [
            "Active {people} per week.", "Share of trials that become paying customers.", "Measured change around {topic} after three months.",
            "Monthly recurring revenue and churn.", "Cost to win one of the {people}.",
        ],
    }.ToFrozenDictionary();

    public static IEnumerable<string> Blocks => Templates.Keys;

    public static IEnumerable<(string Alias, string Block)> Aliases =>
    [
        ("jobs", "customerjobs"), ("customerjob", "customerjobs"), ("jobstobedone", "customerjobs"), ("pain", "pains"), ("customerpains", "pains"),
        ("gain", "gains"), ("customergains", "gains"), ("products", "productsandservices"), ("services", "productsandservices"),
        ("productsservices", "productsandservices"), ("painreliever", "painrelievers"), ("gaincreator", "gaincreators"),
        ("segments", "customersegments"), ("customers", "customersegments"), ("targetcustomers", "customersegments"),
        ("customersegment", "customersegments"), ("customerprofile", "customersegments"), ("valueproposition", "valuepropositions"),
        ("valuemap", "valuepropositions"), ("channel", "channels"), ("relationships", "customerrelationships"),
        ("revenues", "revenuestreams"), ("revenue", "revenuestreams"), ("resources", "keyresources"), ("activities", "keyactivities"),
        ("partners", "keypartners"), ("keypartnerships", "keypartners"), ("partnerships", "keypartners"), ("costs", "coststructure"),
        ("problems", "problem"), ("alternatives", "existingalternatives"), ("solutions", "solution"), ("uvp", "uniquevalueproposition"),
        ("uniquevaluepropositions", "uniquevalueproposition"), ("concept", "highlevelconcept"), ("earlyadopter", "earlyadopters"),
        ("metrics", "keymetrics"), ("unfairadvantages", "unfairadvantage"),
    ];

    public static string[] Of(string block) => Templates[block];
}
