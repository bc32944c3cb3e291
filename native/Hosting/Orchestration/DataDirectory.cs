namespace Aspire.Hosting.Orchestration;
internal sealed class DataDirectory { public string ParametersFile => throw new NotSupportedException(); public static DataDirectory ForRun(string d) => throw new NotSupportedException(); public static DataDirectory Throwaway() => throw new NotSupportedException(); }
