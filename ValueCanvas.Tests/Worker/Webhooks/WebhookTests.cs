using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Secrets;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Worker.Execution;
using ValueCanvas.Worker.Webhooks;

namespace ValueCanvas.Tests.Worker.Webhooks;

/// <summary>From a tenant's endpoint that is registered at the Api to what a worker delivers there.</summary>
public sealed class WebhookTests(WebhookTests.Shared shared) : IClassFixture<WebhookTests.Shared>, IAsyncLifetime
{
    // The Api's in tests: see ApiHost.
    private const string Key = "a-secret-of-tests-that-is-long-enough";

    private WebhookReceiver _receiver = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private MigratedDatabase Database => shared.Database;

    private ApiHost Api => shared.Api;

    public async ValueTask InitializeAsync()
    {
        _receiver = await WebhookReceiver.StartAsync();
        await MigratedDatabase.ExecuteAsync(
            Database.Admin, "TRUNCATE llm_jobs, llm_job_events, webhook_endpoints, webhook_deliveries CASCADE");
    }

    public ValueTask DisposeAsync() => _receiver.DisposeAsync();

    [Fact]
    public async Task Job_ThatEnds_IsToldOnceAndSigned()
    {
        await using var worker = await StartAsync();
        var (id, secret) = await RegisterAsync(_receiver.Url());

        var job = await worker.EnqueueAsync();
        await worker.UntilAsync(job.Id, JobState.Succeeded);

        var message = Assert.Single(await _receiver.UntilAsync(1));
        Assert.True(message.IsSignedWith(secret));
        Assert.Equal("application/json", message.Headers["Content-Type"]);
        Assert.DoesNotContain(message.Headers.Keys, name => name is "traceparent" or "Cookie");
        var told = JsonDocument.Parse(message.Text).RootElement;
        Assert.Equal("job.succeeded", told.GetProperty("type").GetString());
        Assert.Equal(
            (job.Id, "succeeded", 1),
            (told.GetProperty("data").GetProperty("jobId").GetGuid(), told.GetProperty("data").GetProperty("status").GetString(),
                told.GetProperty("data").GetProperty("attempts").GetInt32()));

        var delivery = await DeliveryAsync(id, "delivered");
        Assert.Equal(message.Id, delivery.GetProperty("id").GetString());
        Assert.Equal((1, 200), (delivery.GetProperty("attempts").GetInt32(), delivery.GetProperty("lastStatus").GetInt32()));
        Assert.Equal(
            0,
            await Database.ScalarAsync<long>($"SELECT count(*) FROM webhook_endpoints WHERE sealed::text LIKE '%{secret[6..20]}%'"));
    }

    [Fact]
    public async Task Webhook_OfSomeEvents_HearsOfThoseAlone()
    {
        await using var worker = await StartAsync();
        await RegisterAsync(_receiver.Url(), """["job.failed"]""");

        await worker.UntilAsync((await worker.EnqueueAsync()).Id, JobState.Succeeded);
        var failed = await worker.EnqueueAsync("nobody_knows_it");

        var message = Assert.Single(await _receiver.UntilAsync(1));
        Assert.Contains(failed.Id.ToString(), message.Text, StringComparison.Ordinal);
        Assert.Contains("unknown_type", message.Text, StringComparison.Ordinal);
        Assert.Equal(1, await Database.ScalarAsync<long>("SELECT count(*) FROM webhook_deliveries"));
    }

    [Fact]
    public async Task Completion_ThatIsTakenBack_TellsNobody()
    {
        await RegisterAsync(_receiver.Url());
        var leases = Api.Services.GetRequiredService<JobLeases>();
        await Api.Services.GetRequiredService<JobStore>().EnqueueAsync(Tenants.Development, "t", null, "{}", Cancel);
        var job = Assert.Single(await leases.ClaimAsync("w", 1, TimeSpan.FromMinutes(1), Cancel));

        await Assert.ThrowsAsync<InvalidOperationException>(() => leases.CompleteAsync(
            job, "{}", (_, _) => throw new InvalidOperationException("The canvas is not valid."), Cancel));
        Assert.Equal(0, await Database.ScalarAsync<long>("SELECT count(*) FROM webhook_deliveries"));

        Assert.True(await leases.CompleteAsync(job, "{}", null, Cancel));
        Assert.Equal(1, await Database.ScalarAsync<long>("SELECT count(*) FROM webhook_deliveries"));
    }

    [Fact]
    public async Task Delivery_ThatFails_IsMadeAgainWithTheSameIdAndBytes_AndFollowsNoRedirect()
    {
        var calls = 0;
        _receiver.Answer = context =>
        {
            (context.Response.StatusCode, context.Response.Headers.Location) = Interlocked.Increment(ref calls) switch
            {
                1 => (503, ""),
                2 => (302, _receiver.Url("/elsewhere")),
                _ => (204, ""),
            };
            return Task.CompletedTask;
        };
        await using var worker = await StartAsync();
        var (id, secret) = await RegisterAsync(_receiver.Url());

        await worker.EnqueueAsync();

        var messages = await _receiver.UntilAsync(3);
        var delivery = await DeliveryAsync(id, "delivered");
        Assert.Equal(3, delivery.GetProperty("attempts").GetInt32());
        Assert.Single(messages.Select(message => (message.Path, message.Id, message.Text)).Distinct());
        Assert.All(messages, message => Assert.True(message.IsSignedWith(secret)));
    }

    [Fact]
    public async Task Delivery_AttemptsUsedUp_IsDead_UntilItIsAskedForAgain()
    {
        _receiver.Answer = context =>
        {
            context.Abort();
            return Task.CompletedTask;
        };
        await using var worker = await StartAsync(("Webhooks:MaxAttempts", "2"));
        var (id, _) = await RegisterAsync(_receiver.Url());
        await worker.EnqueueAsync();
        var dead = await DeliveryAsync(id, "dead");
        Assert.Equal((2, "broken_off"), (dead.GetProperty("attempts").GetInt32(), dead.GetProperty("lastError").GetString()));

        _receiver.Answer = _ => Task.CompletedTask;
        using var again = await Api.PostAsync($"/api/queue/webhooks/{id}/deliveries/{dead.GetProperty("id")}/redeliver", "");

        Assert.Equal(HttpStatusCode.Accepted, again.StatusCode);
        var delivered = await DeliveryAsync(id, "delivered");
        Assert.Equal(dead.GetProperty("id").GetString(), delivered.GetProperty("id").GetString());
        Assert.Equal(1, delivered.GetProperty("attempts").GetInt32());
    }

    [Fact]
    public async Task Endpoint_TooSlow_IsGivenUpAndTriedAgain()
    {
        var calls = 0;
        _receiver.Answer = context => Interlocked.Increment(ref calls) > 1
            ? Task.CompletedTask
            : Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted)
                .ContinueWith(_ => { }, TaskScheduler.Default);
        await using var worker = await StartAsync(("Webhooks:Timeout", "00:00:02"));
        var (id, _) = await RegisterAsync(_receiver.Url());

        await worker.EnqueueAsync();

        Assert.Equal(2, (await DeliveryAsync(id, "delivered")).GetProperty("attempts").GetInt32());
    }

    [Theory]
    [InlineData(410, false, "gone")]
    [InlineData(500, true, "failing")]
    public async Task Endpoint_GoneOrFailingForDays_IsDisabled(int status, bool forDays, string reason)
    {
        _receiver.Answer = context =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        };
        var (id, _) = await RegisterAsync(_receiver.Url());
        if (forDays)
            await MigratedDatabase.ExecuteAsync(Database.Admin, "UPDATE webhook_endpoints SET failing_since = now() - interval '6 days'");
        await using var worker = await StartAsync(("Webhooks:RetryDelay", "00:10:00"));

        await worker.EnqueueAsync();
        await _receiver.UntilAsync(1);

        await EventuallyAsync($"SELECT NOT enabled AND disabled_reason = '{reason}' FROM webhook_endpoints");
        using var refused = await Api.PostAsync($"/api/queue/webhooks/{id}/test", "");
        await ApiHost.ProblemAsync(refused, 409);

        using var enabled = await Api.Client.PutAsync(
            $"/api/queue/webhooks/{id}", new StringContent($$"""{"url":"{{_receiver.Url()}}"}"""), Cancel);
        var data = (await ApiHost.JsonAsync(enabled)).GetProperty("data");
        Assert.True(data.GetProperty("enabled").GetBoolean());
        Assert.Equal(
            (JsonValueKind.Null, JsonValueKind.Null),
            (data.GetProperty("disabledReason").ValueKind, data.GetProperty("failingSince").ValueKind));
    }

    [Fact]
    public async Task Secret_Rotated_SignsBesideTheOneOfBefore()
    {
        await using var worker = await StartAsync();
        var (id, before) = await RegisterAsync(_receiver.Url());
        using var rotated = await Api.PostAsync($"/api/queue/webhooks/{id}/rotate", "");
        var now = (await ApiHost.JsonAsync(rotated)).GetProperty("data").GetProperty("secret").GetString()!;

        (await Api.PostAsync($"/api/queue/webhooks/{id}/test", "")).Dispose();
        var message = Assert.Single(await _receiver.UntilAsync(1));
        Assert.True(message.IsSignedWith(before) && message.IsSignedWith(now) && before != now);
        Assert.Contains("webhook.test", message.Text, StringComparison.Ordinal);

        await MigratedDatabase.ExecuteAsync(Database.Admin, "UPDATE webhook_endpoints SET previous_until = now()");
        (await Api.PostAsync($"/api/queue/webhooks/{id}/test", "")).Dispose();
        message = (await _receiver.UntilAsync(2))[1];
        Assert.True(message.IsSignedWith(now) && !message.IsSignedWith(before));
        using var shown = await Api.GetAsync($"/api/queue/webhooks/{id}");
        Assert.DoesNotContain("whsec_", await shown.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    /// <summary>A name says nothing of where it leads: what counts is what is connected to.</summary>
    [Fact]
    public async Task Name_ThatLeadsBehindOurWalls_IsNeverConnectedTo()
    {
        var (id, _) = await RegisterAsync($"http://localhost:{_receiver.Port}/hook");
        await using var worker = await StartAsync(("Webhooks:AllowedNetworks:0", "192.0.2.0/24"), ("Webhooks:RetryDelay", "00:10:00"));

        await worker.EnqueueAsync();

        await EventuallyAsync("SELECT last_error = 'address_refused' FROM webhook_deliveries");
        Assert.Empty(_receiver.Seen);
        using var list = await Api.GetAsync($"/api/queue/webhooks/{id}/deliveries?status=pending");
        Assert.Single((await ApiHost.JsonAsync(list)).GetProperty("data").GetProperty("items").EnumerateArray());
    }

    [Theory]
    [InlineData("""{}""", "url")]
    [InlineData("""{"url":"ftp://example.com/"}""", "url")]
    [InlineData("""{"url":"/relative"}""", "url")]
    [InlineData("""{"url":"https://user:pass@example.com/"}""", "url")]
    [InlineData("""{"url":"http://169.254.169.254/latest/meta-data"}""", "url")]
    [InlineData("""{"url":"http://[::1]/"}""", "url")]
    [InlineData("""{"url":"http://2130706434/"}""", "url")]
    [InlineData("""{"url":"https://example.com/","events":["job.started"]}""", "events")]
    [InlineData("""{"url":"https://example.com/","events":[]}""", "events")]
    public async Task Register_WhatCannotBeDeliveredTo_Is400(string body, string field)
    {
        // The tests' own network is 127.0.0.1 alone.
        using var refused = await Api.PostAsync("/api/queue/webhooks", body);

        Assert.True((await ApiHost.ProblemAsync(refused, 400)).GetProperty("errors").TryGetProperty(field, out _));
    }

    [Fact]
    public async Task Deliveries_ManyWorkers_EachMakesItsOwn_FewToOneEndpointAtATime()
    {
        var (under, most) = (0, 0);
        _receiver.Answer = async context =>
        {
            var now = Interlocked.Increment(ref under);
            var seen = Volatile.Read(ref most);
            while (now > seen && Interlocked.CompareExchange(ref most, now, seen) != seen)
                seen = Volatile.Read(ref most);

            // As long as it may take; its answer is known only when it is no longer counted.
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, context.RequestAborted);
            Interlocked.Decrement(ref under);
        };
        var (id, _) = await RegisterAsync(_receiver.Url());
        await MigratedDatabase.ExecuteAsync(
            Database.Admin,
            $$"""
            INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, event, payload)
            SELECT gen_random_uuid(), '{{Tenants.Development}}', '{{id}}', 'job.succeeded', '{}' FROM generate_series(1, 60)
            """);

        await using var first = await StartAsync(("Webhooks:PerEndpoint", "2"));
        await using var second = await StartAsync(("Webhooks:PerEndpoint", "2"));
        await EventuallyAsync("SELECT count(*) = 60 FROM webhook_deliveries WHERE state = 'delivered'");

        Assert.Equal((60, 60), (_receiver.Seen.Count, _receiver.Seen.Select(message => message.Id).Distinct().Count()));
        // Two claims at the same time may each count without the other's.
        Assert.InRange(most, 1, 4);
    }

    [Fact]
    public async Task Record_AfterTheLeaseWasAnothers_ChangesNothing()
    {
        await RegisterAsync(_receiver.Url());
        await MigratedDatabase.ExecuteAsync(
            Database.Admin,
            """
            INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, event, payload)
            SELECT id, tenant_id, id, 'job.failed', '{}' FROM webhook_endpoints
            """);
        await using var worker = await WorkerHost.StartAsync(
            Database,
            builder => builder.Services.AddSecrets(isRequired: false).AddWebhookDelivery());
        var outbox = worker.Services.GetRequiredService<WebhookOutbox>();
        var frozen = Assert.Single(await outbox.ClaimAsync(10, Cancel));
        Assert.Empty(await outbox.ClaimAsync(10, Cancel));
        await MigratedDatabase.ExecuteAsync(Database.Admin, "UPDATE webhook_deliveries SET next_at = now(), claimed_until = now()");
        var other = Assert.Single(await outbox.ClaimAsync(10, Cancel));

        Assert.Equal("stale", await outbox.RecordAsync(frozen, new(null, "timeout"), Cancel));
        Assert.Equal("delivered", await outbox.RecordAsync(other, new(200, null), Cancel));
        Assert.Equal("stale", await outbox.RecordAsync(frozen, new(200, null), Cancel));
    }

    [Fact]
    public async Task Prune_OldDeliveriesAndThoseOfNobody_Go()
    {
        var (id, _) = await RegisterAsync(_receiver.Url());
        await MigratedDatabase.ExecuteAsync(
            Database.Admin,
            $$"""
            INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, event, payload, state, finished_at, next_at) VALUES
            (gen_random_uuid(), '{{Tenants.Development}}', '{{id}}', 'old', '{}', 'delivered', now() - interval '15 days', now()),
            (gen_random_uuid(), '{{Tenants.Development}}', '{{id}}', 'new', '{}', 'dead', now() - interval '13 days', now()),
            (gen_random_uuid(), '{{Tenants.Development}}', gen_random_uuid(), 'removed', '{}', 'pending', NULL, now() - interval '2 days')
            """);
        await using var worker = await WorkerHost.StartAsync(
            Database,
            builder => builder.Services.AddSecrets(isRequired: false).AddWebhookDelivery());

        Assert.Equal(1, await worker.Services.GetRequiredService<WebhookOutbox>().PruneAsync(100, Cancel));

        Assert.Equal("new dead,removed dead", await Database.ScalarAsync<string>(
            "SELECT string_agg(event || ' ' || state, ',' ORDER BY event) FROM webhook_deliveries"));
    }

    [Fact]
    public async Task Remove_Webhook_TakesItsDeliveriesAlong_AndIsInTheAuditLog()
    {
        var (id, _) = await RegisterAsync(_receiver.Url());
        (await Api.PostAsync($"/api/queue/webhooks/{id}/test", "")).Dispose();

        using var removed = await Api.Client.DeleteAsync($"/api/queue/webhooks/{id}", Cancel);

        Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        Assert.Equal(0, await Database.ScalarAsync<long>("SELECT count(*) FROM webhook_deliveries"));
        Assert.Equal(
            "webhook.created webhook.tested webhook.removed",
            await Database.ScalarAsync<string>(
                $"SELECT string_agg(event, ' ' ORDER BY occurred_at) FROM audit_log WHERE subject_id = '{id}'"));
        using var gone = await Api.GetAsync($"/api/queue/webhooks/{id}");
        await ApiHost.ProblemAsync(gone, 404);
    }

    private async Task<(string Id, string Secret)> RegisterAsync(string url, string? events = null)
    {
        using var created = await Api.PostAsync("/api/queue/webhooks", $$"""{"url":"{{url}}","events":{{events ?? "null"}}}""");
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        var data = (await ApiHost.JsonAsync(created)).GetProperty("data");
        return (data.GetProperty("id").GetString()!, data.GetProperty("secret").GetString()!);
    }

    private async Task<JsonElement> DeliveryAsync(string webhook, string status)
    {
        await EventuallyAsync($"SELECT count(*) = 1 FROM webhook_deliveries WHERE state = '{status}'");
        using var list = await Api.GetAsync($"/api/queue/webhooks/{webhook}/deliveries?status={status}");
        return Assert.Single((await ApiHost.JsonAsync(list)).GetProperty("data").GetProperty("items").EnumerateArray());
    }

    private async Task EventuallyAsync(string condition)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        var startedAt = Stopwatch.GetTimestamp();
        await using var source = NpgsqlDataSource.Create(Database.Admin);
        while (true)
        {
            await using var command = source.CreateCommand(condition);
            if (await command.ExecuteScalarAsync(Cancel) is true)
                return;
            Assert.True(Stopwatch.GetElapsedTime(startedAt) < TimeSpan.FromSeconds(30), condition);
            await timer.WaitForNextTickAsync(Cancel);
        }
    }

    // Of a setting that the test gives the default is not said.
    private Task<WorkerHost> StartAsync(params (string Key, string Value)[] settings) => WorkerHost.StartAsync(
        Database,
        builder =>
        {
            builder.Services.AddSingleton<IJobHandler>(
                new TestHandler((_, _) => Task.FromResult<JobOutcome>(new JobOutcome.Succeeded("1"))));
            builder.Services.AddSecrets(isRequired: false).AddWebhookDelivery();
        },
        settings:
        [
            .. settings.Concat(
            [
                ("Accounts:SecretKey", Key), ("Webhooks:AllowedNetworks:0", "127.0.0.1/32"), ("Webhooks:PollInterval", "00:00:00.05"),
                ("Webhooks:RetryDelay", "00:00:00.1"),
            ]).DistinctBy(setting => setting.Item1),
        ]);

    public sealed class Shared(ServersFixture servers) : IAsyncLifetime
    {
        public MigratedDatabase Database { get; } = new(servers);

        internal ApiHost Api { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            Api = new ApiHost(
                database: Database.App, cache: Database.Redis,
                settings: [("RateLimiting:Enabled", "false"), ("Webhooks:AllowedNetworks:0", "127.0.0.1/32")]);
        }

        public async ValueTask DisposeAsync()
        {
            await Api.DisposeAsync();
            await Database.DisposeAsync();
        }
    }
}
