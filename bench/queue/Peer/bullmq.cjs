// The queue's work on BullMQ: node bullmq.cjs PORT SECONDS JOBS WARM CALLERS CONCURRENCY, or as a worker's process: node bullmq.cjs worker PORT N.
'use strict';
const { fork } = require('node:child_process');
const { Queue, Worker } = require('bullmq');

const name = 'bench';
const clock = () => performance.timeOrigin + performance.now();
const sleep = ms => new Promise(done => setTimeout(done, ms));

if (process.argv[2] === 'worker') {
  work(Number(process.argv[3]), Number(process.argv[4]));
} else {
  const [port, seconds, jobs, warm, callers, concurrency] = process.argv.slice(2).map(Number);
  run({ port, seconds, jobs, warm, callers, concurrency }).then(
    result => { console.log(JSON.stringify(result)); process.exit(0); },
    error => { console.error(error); process.exit(1); });
}

// One process of a worker. Its parent asks it what it has done since it was asked the last time.
function work(port, concurrency) {
  let seen = { pickups: [], first: null, last: null };
  const worker = new Worker(name, async job => {
    const now = clock();
    seen.first ??= now;
    seen.pickups.push(now - job.data.at);
    return { pickupUs: Math.round((now - job.data.at) * 1000) };
  }, { connection: { host: '127.0.0.1', port, maxRetriesPerRequest: null }, concurrency });
  worker.on('completed', () => { seen.last = clock(); });
  worker.waitUntilReady().then(() => process.send('ready'));
  process.on('message', () => {
    process.send(seen);
    seen = { pickups: [], first: null, last: null };
  });
  process.on('disconnect', () => process.exit(0));
}

async function run({ port, seconds, jobs, warm, callers, concurrency }) {
  const queue = new Queue(name, { connection: { host: '127.0.0.1', port } });
  await queue.waitUntilReady();
  const version = require('bullmq/package.json').version;

  // 1. Additions, while nobody takes them; then those that wait are taken away.
  await add(queue, callers, Math.max(0.5, seconds / 2));
  const enqueue = await add(queue, callers, seconds);
  await queue.obliterate({ force: true });

  const setups = [];
  for (const workers of [1, 3]) {
    const processes = await start(workers, port, concurrency);
    // 2. Jobs that all begin to wait at the same moment.
    await fill(queue, warm);
    await drained(queue);
    await queue.pause();
    await fill(queue, jobs);
    await ask(processes);
    await queue.resume();
    await drained(queue);
    await sleep(100);
    const told = await ask(processes);
    const first = Math.min(...told.filter(one => one.first).map(one => one.first));
    const last = Math.max(...told.filter(one => one.last).map(one => one.last));
    const count = told.reduce((sum, one) => sum + one.pickups.length, 0);

    // 3. What goes through with both ends at full load, and half of it.
    await add(queue, callers, Math.max(0.5, seconds / 2));
    await drained(queue);
    await ask(processes);
    await add(queue, callers, seconds);
    const through = (await ask(processes)).reduce((sum, one) => sum + one.pickups.length, 0) / seconds;
    await drained(queue);
    await ask(processes);
    const half = await arrive(queue, through / 2, seconds);
    await drained(queue);
    await sleep(100);
    const pickups = (await ask(processes)).flatMap(one => one.pickups);
    setups.push({
      workers, jobs: count, jobs_per_second: count * 1000 / (last - first), through_per_second: through, submission: half,
      pickup_us: percentiles(pickups),
    });
    processes.forEach(one => one.disconnect());
    await sleep(300);
    await queue.obliterate({ force: true });
  }

  return { version, node: process.version, enqueue, setups };
}

// Callers that each go on when their job is in.
async function add(queue, callers, seconds) {
  const latencies = [];
  const start = clock();
  await Promise.all(Array.from({ length: callers }, async () => {
    while (clock() - start < seconds * 1000) {
      const at = clock();
      await queue.add('chat', { at, prompt: 'What makes a bakery in Lisbon special?' });
      latencies.push(clock() - at);
    }
  }));
  return { jobs_per_second: latencies.length * 1000 / (clock() - start), latency_us: percentiles(latencies) };
}

// At random times (Poisson), whether or not earlier ones are in.
async function arrive(queue, rate, seconds) {
  const latencies = [];
  const open = new Set();
  const start = clock();
  let next = start;
  while (clock() - start < seconds * 1000) {
    while (next <= clock()) {
      const at = next;
      next += -Math.log(1 - Math.random()) * 1000 / rate;
      const one = queue.add('chat', { at, prompt: 'What makes a bakery in Lisbon special?' })
        .then(() => { latencies.push(clock() - at); open.delete(one); });
      open.add(one);
    }
    await sleep(1);
  }
  await Promise.all(open);
  return { asked_requests_per_second: rate, latency_us: percentiles(latencies) };
}

async function fill(queue, count) {
  for (let i = 0; i < count; i += 500) {
    const at = clock();
    await queue.addBulk(Array.from({ length: Math.min(500, count - i) }, () => (
      { name: 'chat', data: { at, prompt: 'What makes a bakery in Lisbon special?' } })));
  }
}

async function drained(queue) {
  for (;;) {
    const counts = await queue.getJobCounts('wait', 'active', 'paused', 'prioritized', 'delayed');
    if (Object.values(counts).every(count => count === 0)) return;
    await sleep(50);
  }
}

async function start(workers, port, concurrency) {
  const processes = Array.from({ length: workers }, () => fork(__filename, ['worker', port, concurrency]));
  await Promise.all(processes.map(one => new Promise(done => one.once('message', done))));
  return processes;
}

function ask(processes) {
  return Promise.all(processes.map(one => new Promise(done => { one.once('message', done); one.send('tell'); })));
}

function percentiles(milliseconds) {
  const sorted = milliseconds.sort((a, b) => a - b);
  const at = share => sorted.length ? Math.round(sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)] * 1000) : 0;
  return { n: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}
