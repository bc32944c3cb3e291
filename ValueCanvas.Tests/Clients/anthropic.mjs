// Anthropic's own client against /v1/messages, with a model server that speaks OpenAI's language behind it.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { base, check, counting, key, leaves, limited, model, overloaded, patiently, question, repeated, slowModel, weather } from './checks.mjs';

const client = new Anthropic({ apiKey: key, baseURL: base });
const ask = { model, max_tokens: 400, messages: [{ role: 'user', content: question }] };
const tools = [{ name: 'get_weather', description: 'Weather', input_schema: weather }];
const oslo = { model, max_tokens: 400, tools, messages: [{ role: 'user', content: 'Weather in Oslo?' }] };

await check('chat', async () => {
    const answer = await client.messages.create({ ...ask, system: 'Be helpful.' });
    assert.equal(answer.type, 'message');
    assert.equal(answer.role, 'assistant');
    assert.match(answer.content[0].text, /waste|bakery/);
    assert.equal(answer.stop_reason, 'end_turn');
    assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
    assert.match(answer._request_id, /^req_/);
});

await check('cached_tokens', async () => {
    const long = { ...ask, system: 'Consider costs, staff, suppliers and guests. '.repeat(40) };
    const first = (await client.messages.create(long)).usage;
    const second = (await client.messages.create(long)).usage;
    assert.ok(second.cache_read_input_tokens > 0);
    assert.equal(second.input_tokens + second.cache_read_input_tokens, first.input_tokens + first.cache_read_input_tokens);
});

await check('stream', async () => {
    const whole = await client.messages.create(ask);
    const stream = client.messages.stream(ask);
    let deltas = 0;
    stream.on('text', () => deltas++);
    const final = await stream.finalMessage();
    assert.equal(final.content[0].text, whole.content[0].text);
    assert.equal(final.stop_reason, whole.stop_reason);
    assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
    assert.ok(final.usage.input_tokens + final.usage.cache_read_input_tokens > 0);
    assert.ok(deltas > 5);
});

await check('stream_events', async () => {
    const types = [];
    for await (const event of await client.messages.create({ ...ask, max_tokens: 3, stream: true })) {
        types.push(event.type);
    }
    assert.deepEqual(types, ['message_start', 'content_block_start', 'content_block_delta', 'content_block_delta', 'content_block_delta',
        'content_block_stop', 'message_delta', 'message_stop']);
});

await check('stop_reasons', async () => {
    const cut = await client.messages.create({ ...ask, max_tokens: 3 });
    assert.equal(cut.stop_reason, 'max_tokens');
    const word = (await client.messages.create(ask)).content[0].text.split(' ')[4];
    const stopped = await client.messages.create({ ...ask, stop_sequences: [word] });
    assert.equal(stopped.stop_reason, 'stop_sequence');
    assert.equal(stopped.stop_sequence, word);
});

await check('tools', async () => {
    const called = await client.messages.create(oslo);
    assert.equal(called.stop_reason, 'tool_use');
    const call = called.content.find(block => block.type === 'tool_use');
    assert.deepEqual(call.input, { city: 'Oslo' });
    const answer = await client.messages.create({
        ...oslo,
        messages: [...oslo.messages, { role: 'assistant', content: called.content },
            { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'Rain, 7 degrees.' }] }],
    });
    assert.equal(answer.stop_reason, 'end_turn');
    assert.ok(answer.content[0].text.length > 0);
    const forced = await client.messages.create({ ...oslo, tool_choice: { type: 'tool', name: 'get_weather' } });
    assert.equal(forced.stop_reason, 'tool_use');
});

await check('stream_tools', async () => {
    const final = await client.messages.stream(oslo).finalMessage();
    assert.equal(final.stop_reason, 'tool_use');
    assert.deepEqual(final.content.find(block => block.type === 'tool_use').input, { city: 'Oslo' });
});

await check('structured_output', async () => {
    const format = zodOutputFormat(z.object({ pains: z.array(z.string()), urgent: z.boolean() }));
    const parsed = await client.messages.parse({ ...ask, max_tokens: 2000, output_config: { format } });
    assert.ok(parsed.parsed_output.pains.length > 0);
});

await check('count_tokens', async () => {
    const { input_tokens } = await client.messages.countTokens({ model, messages: ask.messages });
    const { usage } = await client.messages.create(ask);
    assert.equal(input_tokens, usage.input_tokens + usage.cache_read_input_tokens);
});

await check('cancel', () => leaves(async () => {
    const stream = client.messages.stream({ ...ask, model: slowModel });
    stream.once('text', () => stream.abort());
    await assert.rejects(stream.done(), Anthropic.APIUserAbortError);
}));

const type = (error, code, name) => e => e instanceof error && e.status === code && e.error.error.type === name && /^req_/.test(e.requestID);

await check('bad_request', () => assert.rejects(
    client.messages.create({ ...ask, messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'file', file_id: 'f' } }] }] }),
    type(Anthropic.BadRequestError, 400, 'invalid_request_error')));

await check('unknown_model', () => assert.rejects(
    client.messages.create({ ...ask, model: 'nobody-nothing' }), type(Anthropic.NotFoundError, 404, 'not_found_error')));

await check('stream_error', () => assert.rejects(
    client.messages.stream(ask, { headers: { 'x-simulator-fault': 'malformed-after=3' } }).finalMessage(),
    e => e instanceof Anthropic.APIError && e.error.error.type === 'api_error'));

await check('rate_limit', async () => {
    const counted = counting();
    const patient = new Anthropic({ apiKey: key, baseURL: base, fetch: counted.fetch });
    await patiently(async () => {
        await assert.rejects(patient.messages.create(ask, { headers: limited }), type(Anthropic.RateLimitError, 429, 'rate_limit_error'));
        assert.equal(counted.requests, 1);
    }, () => patient.messages.create(ask));
    repeated(counted);
});

await check('overloaded', async () => {
    const counted = counting();
    const patient = new Anthropic({ apiKey: key, baseURL: base, fetch: counted.fetch });
    await patiently(async () => {
        await assert.rejects(patient.messages.create(ask, { headers: overloaded }), type(Anthropic.InternalServerError, 529, 'overloaded_error'));
        assert.equal(counted.requests, 1);
    }, () => patient.messages.create(ask));
});
