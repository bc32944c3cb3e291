namespace ValueCanvas.Api.Errors;

internal static class ErrorHandlingExtensions
{
    /// <summary>Must come first: it answers for everything that comes after it.</summary>
    public static IApplicationBuilder UseErrorHandling(this IApplicationBuilder app) => app.UseMiddleware<ErrorHandling>();
}
