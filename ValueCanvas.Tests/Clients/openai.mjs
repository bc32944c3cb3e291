// OpenAI's own client.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { base, check, counting, key, leaves, limited, model, overloaded, patiently, question, repeated, slowModel, weather } from './checks.mjs';

const client = new OpenAI({ apiKey: key, baseURL: `${base}/v1` });
const messages = [{ role: 'user', content: question }];
const tools = [{ type: 'function', function: { name: 'get_weather', description: 'Weather', parameters: weather } }];

await check('models', async () => {
    const names = [];
    for await (const found of client.models.list()) {
        names.push(found.id);
    }
    assert.ok(names.includes(model));
    assert.equal((await client.models.retrieve(model)).id, model);
});

await check('chat', async () => {
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    assert.match(data.choices[0].message.content, /waste|bakery/);
    assert.equal(data.choices[0].finish_reason, 'stop');
    assert.ok(data.usage.completion_tokens > 0);
    assert.equal(response.headers.get('x-valuecanvas-attempts'), '1');
});

await check('stream', async () => {
    const whole = await client.chat.completions.create({ model, messages });
    const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
    let deltas = 0;
    stream.on('content', () => deltas++);
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
    assert.equal(final.usage.completion_tokens, whole.usage.completion_tokens);
    assert.ok(deltas > 5);
});

await check('tools', async () => {
    const asked = [{ role: 'user', content: 'Weather in Oslo?' }];
    const called = (await client.chat.completions.create({ model, messages: asked, tools })).choices[0];
    assert.equal(called.finish_reason, 'tool_calls');
    const call = called.message.tool_calls[0];
    assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Oslo' });
    const told = [...asked, called.message, { role: 'tool', tool_call_id: call.id, content: 'Rain, 7 degrees.' }];
    const answer = (await client.chat.completions.create({ model, messages: told, tools })).choices[0];
    assert.equal(answer.finish_reason, 'stop');
    assert.ok(answer.message.content.length > 0);
});

await check('stream_tools', async () => {
    const seen = [];
    const runner = client.chat.completions.runTools({
        model, stream: true, messages: [{ role: 'user', content: 'Weather in Oslo?' }],
        tools: [{ type: 'function', function: { ...tools[0].function, parse: JSON.parse, function: given => { seen.push(given); return 'Rain.'; } } }],
    });
    assert.ok((await runner.finalContent()).length > 0);
    assert.deepEqual(seen, [{ city: 'Oslo' }]);
});

await check('structured_output', async () => {
    const format = zodResponseFormat(z.object({ pains: z.array(z.string()), urgent: z.boolean() }), 'pains');
    const parsed = await client.chat.completions.parse({ model, messages, response_format: format });
    assert.ok(parsed.choices[0].message.parsed.pains.length > 0);
    assert.equal(typeof parsed.choices[0].message.parsed.urgent, 'boolean');
});

await check('embeddings', async () => {
    const vectors = await client.embeddings.create({ model, input: ['tea', 'coffee'] });
    const floats = await client.embeddings.create({ model, input: 'tea', encoding_format: 'float' });
    assert.equal(vectors.data.length, 2);
    assert.equal(vectors.data[0].embedding.length, 1024);
    assert.ok(Math.abs(vectors.data[0].embedding[7] - floats.data[0].embedding[7]) < 1e-6);
});

await check('cancel', () => leaves(async () => {
    const stream = await client.chat.completions.create({ model: slowModel, messages, stream: true });
    for await (const _ of stream) {
        break; // the client aborts what it no longer reads
    }
}));

await check('bad_request', () => assert.rejects(
    client.chat.completions.create({ model, messages: 'none' }), e => e instanceof OpenAI.BadRequestError && e.type !== undefined));

await check('unknown_model', () => assert.rejects(
    client.chat.completions.create({ model: 'nobody/nothing', messages }),
    e => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found' && e.param === 'model' && e.type === 'invalid_request_error'));

await check('stream_error', () => assert.rejects(async () => {
    const stream = await client.chat.completions.create(
        { model, messages, stream: true }, { headers: { 'x-simulator-fault': 'malformed-after=3' } });
    for await (const _ of stream) {
        // up to the break
    }
}, e => e instanceof OpenAI.APIError && e.code === 'stream_interrupted'));

// The proxy has made its attempts: the client must not. The next request finds the server cooling, which is for the client to wait for.
await check('rate_limit', async () => {
    const counted = counting();
    const patient = new OpenAI({ apiKey: key, baseURL: `${base}/v1`, fetch: counted.fetch });
    await patiently(async () => {
        await assert.rejects(patient.chat.completions.create({ model, messages }, { headers: limited }), OpenAI.RateLimitError);
        assert.equal(counted.requests, 1);
    }, () => patient.chat.completions.create({ model, messages }));
    repeated(counted);
});

await check('overloaded', async () => {
    const counted = counting();
    const patient = new OpenAI({ apiKey: key, baseURL: `${base}/v1`, fetch: counted.fetch });
    await patiently(async () => {
        await assert.rejects(patient.chat.completions.create({ model, messages }, { headers: overloaded }), e => e instanceof OpenAI.InternalServerError && e.status === 503);
        assert.equal(counted.requests, 1);
    }, () => patient.chat.completions.create({ model, messages }));
});
