// What the scripts of the libraries share. Each check prints one line: {"name","ok","error"}.
import assert from 'node:assert/strict';

export const base = process.env.BASE_URL;
export const key = process.env.KEY;
export const model = process.env.MODEL;
export const slowModel = process.env.SLOW_MODEL; // takes seconds over an answer, so that there is a middle to leave in
export const question = 'How can a bakery reduce food waste?';
export const weather = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const patience = 1_950; // two seconds, less what clocks differ by
export const limited = { 'x-simulator-fault': 'status=429; retry-after=2' };
export const overloaded = { 'x-simulator-fault': 'status=503; retry-after=2' };

export async function check(name, run) {
    let timer;
    const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('took longer than 40 s')), 40_000); });
    try {
        await Promise.race([run(), late]);
        console.log(JSON.stringify({ name, ok: true }));
    } catch (e) {
        console.log(JSON.stringify({ name, ok: false, error: e?.stack ?? String(e) }));
    } finally {
        clearTimeout(timer);
    }
}

/** A fetch that notes when it is asked, for what a client does unasked: repeat. */
export function counting() {
    const counted = { times: [], get requests() { return counted.times.length; } };
    counted.fetch = (...request) => { counted.times.push(Date.now()); return fetch(...request); };
    return counted;
}

/** After one that was refused, a call was made in vain and made again; unless the machine had stood still for those two seconds. */
export function repeated({ requests, times: [refused, next] }) {
    assert.ok(requests >= 3 || next - refused >= patience, `${requests} requests`);
}

/** How many requests their clients left, as the slow model server itself counts them. */
async function aborted() {
    const metrics = await (await fetch(`${process.env.SLOW_REPLICA}/metrics`)).text();
    return Number(/^vllm:request_success_total\{.*finished_reason="abort"\} (.+)$/m.exec(metrics)[1]);
}

/** Runs what leaves in the middle of a stream, and waits until the model server has noticed. */
export async function leaves(run) {
    const before = await aborted();
    await run();
    const until = Date.now() + 20_000;
    while (await aborted() === before) {
        assert.ok(Date.now() < until, 'the model server never saw the abort');
        await new Promise(resolve => setTimeout(resolve, 10));
    }
}

/** A call that is refused, and another, which gets its answer after the seconds for which the model server asked for patience. */
export async function patiently(refused, run) {
    const start = Date.now();
    await refused();
    await run();
    assert.ok(Date.now() - start >= patience, `did not wait: ${Date.now() - start} ms`);
}
