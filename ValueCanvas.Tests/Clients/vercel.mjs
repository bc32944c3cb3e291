// The Vercel AI SDK with its provider for OpenAI-compatible servers.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { base, key } from './checks.mjs';
import { checkVercel } from './vercel-checks.mjs';

await checkVercel((more = {}) => {
    const provider = createOpenAICompatible({
        name: 'valuecanvas', apiKey: key, baseURL: `${base}/v1`, includeUsage: true, supportsStructuredOutputs: true, ...more,
    });
    return { chat: name => provider(name), embedding: name => provider.embeddingModel(name) };
});
