// The Vercel AI SDK with its provider for OpenAI itself, in its chat mode.
import { createOpenAI } from '@ai-sdk/openai';
import { base, key } from './checks.mjs';
import { checkVercel } from './vercel-checks.mjs';

await checkVercel((more = {}) => {
    const provider = createOpenAI({ apiKey: key, baseURL: `${base}/v1`, ...more });
    return { chat: name => provider.chat(name), embedding: name => provider.embedding(name) };
});
