// The load test of POST /api/llm/chat for k6 (https://k6.io):
//   k6 run -e BASE_URL=https://api.example.com -e API_KEY=vck_live_… deploy/load/llm-load-test.js
// Prompts come again as people's do (Zipf), in an order that mix.json fixes: request i asks the same in every run, here and in
// ./bench/run.sh load, which needs no k6. -e SECONDS=10 shortens it; -e RATE=50 sets other requests a second.
import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';
import { Rate } from 'k6/metrics';

const mix = JSON.parse(open('./mix.json'));
const rate = Number(__ENV.RATE || mix.requestsPerSecond);
const seconds = Number(__ENV.SECONDS || mix.seconds);
const base = __ENV.BASE_URL || 'http://localhost:5180';
const hits = new Rate('cache_hits');

const cumulated = [];
for (let i = 0, sum = 0; i < mix.prompts; i++) {
    cumulated.push(sum += 1 / Math.pow(i + 1, mix.exponent));
}

export const options = {
    scenarios: {
        chat: {
            executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${seconds}s`,
            preAllocatedVUs: rate * 2, maxVUs: rate * 10,
        },
    },
    thresholds: {
        http_req_duration: ['p(95)<5000', 'p(99)<10000'],
        http_req_failed: ['rate<0.05'],
        http_reqs: [`rate>${Math.min(100, rate * 0.9)}`],
        cache_hits: ['rate>0.30'],
    },
};

/** A number in [0, 1) for request i: mulberry32 of the seed and i. */
function random(i) {
    let t = (mix.seed + Math.imul(i + 1, 0x6D2B79F5)) | 0;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

/** Which prompt request i asks. */
export function rank(i) {
    const wanted = random(i) * cumulated[cumulated.length - 1];
    let [low, high] = [0, cumulated.length - 1];
    while (low < high) {
        const middle = (low + high) >> 1;
        if (cumulated[middle] > wanted) high = middle; else low = middle + 1;
    }

    return low;
}

export function prompt(n) {
    const business = mix.businesses[n % mix.businesses.length];
    const place = mix.places[Math.floor(n / mix.businesses.length) % mix.places.length];
    const question = mix.questions[Math.floor(n / (mix.businesses.length * mix.places.length)) % mix.questions.length];
    return `${business} in ${place}, plan ${n}. ${question}`;
}

export default function () {
    const body = { prompt: prompt(rank(exec.scenario.iterationInTest)), model: mix.model, maxTokens: mix.maxTokens };
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${__ENV.API_KEY}` };
    const response = http.post(`${base}/api/llm/chat`, JSON.stringify(body), { headers, timeout: '30s' });
    const answered = check(response, { 'is answered': r => r.status === 200 && r.json('success') === true });
    hits.add(answered && response.json('data.cached') === true);
}

export function handleSummary(data) {
    const sent = data.metrics.iterations.values.count;
    const distinct = new Set(Array.from({ length: sent }, (_, i) => rank(i))).size;
    const value = name => data.metrics[name].values;
    const lines = [
        `requests     ${sent}, ${value('http_reqs').rate.toFixed(1)}/s`,
        `latency      p95 ${value('http_req_duration')['p(95)'].toFixed(0)} ms`,
        `errors       ${(value('http_req_failed').rate * 100).toFixed(2)} %`,
        `cache hits   ${(value('cache_hits').rate * 100).toFixed(1)} %; the mix allows ${((1 - distinct / sent) * 100).toFixed(1)} %`,
    ];
    const failed = Object.entries(data.metrics).flatMap(([name, metric]) =>
        Object.entries(metric.thresholds || {}).filter(([, threshold]) => !threshold.ok).map(([threshold]) => `${name} ${threshold}`));
    return { stdout: `${lines.join('\n')}\n${failed.length === 0 ? 'All thresholds hold.' : `Missed: ${failed.join(', ')}`}\n` };
}
