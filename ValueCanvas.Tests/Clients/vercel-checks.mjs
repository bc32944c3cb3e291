// What the Vercel AI SDK does with a provider of its own, whichever that is.
import assert from 'node:assert/strict';
import { APICallError, embedMany, generateObject, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { check, counting, leaves, limited, model, overloaded, patiently, question, repeated, slowModel } from './checks.mjs';

// make(more) gives a provider: chat(name), embedding(name).
export async function checkVercel(make) {
    const provider = make();
    const chat = provider.chat(model);
    const pains = z.object({ pains: z.array(z.string()), urgent: z.boolean() });
    globalThis.AI_SDK_LOG_WARNINGS = false;

    await check('chat', async () => {
        const answer = await generateText({ model: chat, prompt: question });
        assert.match(answer.text, /waste|bakery/);
        assert.equal(answer.finishReason, 'stop');
        assert.ok(answer.usage.outputTokens > 0);
    });

    await check('stream', async () => {
        const whole = await generateText({ model: chat, prompt: question });
        const stream = streamText({ model: chat, prompt: question });
        let [text, deltas] = ['', 0];
        for await (const delta of stream.textStream) {
            text += delta;
            deltas++;
        }
        assert.equal(text, whole.text);
        assert.ok(deltas > 5);
        assert.equal((await stream.usage).outputTokens, whole.usage.outputTokens);
    });

    const seen = [];
    const tools = {
        get_weather: tool({
            description: 'Weather', inputSchema: z.object({ city: z.string() }), execute: given => { seen.push(given); return 'Rain, 7 degrees.'; },
        }),
    };

    await check('tools', async () => {
        seen.length = 0;
        const answer = await generateText({ model: chat, prompt: 'Weather in Oslo?', tools, stopWhen: stepCountIs(2) });
        assert.deepEqual(seen, [{ city: 'Oslo' }]);
        assert.equal(answer.steps.length, 2);
        assert.ok(answer.text.length > 0);
    });

    await check('stream_tools', async () => {
        seen.length = 0;
        const stream = streamText({ model: chat, prompt: 'Weather in Oslo?', tools, stopWhen: stepCountIs(2) });
        assert.ok((await stream.text).length > 0);
        assert.deepEqual(seen, [{ city: 'Oslo' }]);
    });

    await check('structured_output', async () => {
        const { object } = await generateObject({ model: chat, prompt: question, schema: pains });
        assert.ok(object.pains.length > 0);
        const { output } = await generateText({ model: chat, prompt: question, output: Output.object({ schema: pains }) });
        assert.ok(output.pains.length > 0);
    });

    await check('embeddings', async () => {
        const { embeddings } = await embedMany({ model: provider.embedding(model), values: ['tea', 'coffee'] });
        assert.equal(embeddings.length, 2);
        assert.equal(embeddings[0].length, 1024);
    });

    await check('cancel', () => leaves(async () => {
        const leaving = new AbortController();
        const stream = streamText({ model: provider.chat(slowModel), prompt: question, abortSignal: leaving.signal, onError: () => { } });
        for await (const _ of stream.textStream) {
            leaving.abort();
        }
    }));

    const status = code => e => APICallError.isInstance(e) && e.statusCode === code;

    await check('unknown_model', () => assert.rejects(
        generateText({ model: provider.chat('nobody/nothing'), prompt: question }),
        e => status(404)(e) && !e.isRetryable && e.data.error.code === 'model_not_found'));

    await check('stream_error', async () => {
        const errors = [];
        const broken = { 'x-simulator-fault': 'malformed-after=3' };
        const stream = streamText({ model: chat, prompt: question, headers: broken, maxRetries: 0, onError: ({ error }) => errors.push(error) });
        for await (const _ of stream.textStream) {
            // up to the break
        }
        assert.equal(errors.length, 1);
        assert.match(JSON.stringify(errors[0]?.message ?? errors[0]), /broke before its end/);
    });

    // This library repeats by the status alone, but waits as long as it is asked to.
    await check('rate_limit', async () => {
        const counted = counting();
        const patient = make({ fetch: counted.fetch }).chat(model);
        await patiently(
            () => assert.rejects(generateText({ model: patient, prompt: question, headers: limited, maxRetries: 0 }), status(429)),
            () => generateText({ model: patient, prompt: question }));
        repeated(counted);
    });

    await check('overloaded', async () => {
        await patiently(
            () => assert.rejects(generateText({ model: chat, prompt: question, headers: overloaded, maxRetries: 0 }), status(503)),
            () => generateText({ model: chat, prompt: question }));
    });
}
