// Vercel's AI SDK through its three providers: each checks what it receives against a schema of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateText, jsonSchema, Output, streamText, tool } from 'ai';
import { paint, paints, picture, url, whole } from './common.mjs';

const baseURL = `${url}/v1`;
const compatible = createOpenAICompatible({ name: 'eyelet', baseURL, apiKey: 'none', includeUsage: true, supportsStructuredOutputs: true });
const openai = createOpenAI({ baseURL, apiKey: 'none' });
const anthropic = createAnthropic({ baseURL, apiKey: 'none' });
const providers = { 'openai-compatible': compatible, 'openai, chat': openai.chat, 'openai, responses': openai.responses, anthropic };
// One call at a time, in the words of each provider.
const providerOptions = { eyelet: { parallel_tool_calls: false }, openai: { parallelToolCalls: false }, anthropic: { disableParallelToolUse: true } };
const bytes = Uint8Array.from(Buffer.from(picture, 'base64'));
const look = (text) => [{ role: 'user', content: [{ type: 'image', image: bytes, mediaType: 'image/png' }, { type: 'text', text }] }];
const settings = { temperature: 0, maxRetries: 0, maxOutputTokens: 100 };

for (const [name, provider] of Object.entries(providers)) {
  const model = provider('seed');

  test(`${name}: text about a picture, and a second question`, async () => {
    const messages = look('What is in this picture?');
    const answer = await generateText({ model, messages, ...settings });
    assert.equal(answer.text, whole);
    assert.equal(answer.finishReason, 'stop');
    assert.ok(answer.usage.inputTokens > 64 && answer.usage.outputTokens > 0);
    messages.push({ role: 'assistant', content: answer.text }, { role: 'user', content: 'What color is the background?' });
    assert.equal((await generateText({ model, messages, ...settings })).text, 'cyan');
  });

  test(`${name}: a stream`, async () => {
    const stream = streamText({ model, messages: look('What is in this picture?'), ...settings, onError: ({ error }) => { throw error; } });
    let text = '', pieces = 0;
    for await (const piece of stream.textStream) (text += piece, pieces++);
    assert.equal(text, whole);
    assert.ok(pieces > 3);
    assert.equal(await stream.finishReason, 'stop');
    const usage = await stream.usage;
    assert.ok(usage.inputTokens > 64 && usage.outputTokens > 0);
  });

  test(`${name}: an answer that is cut`, async () => {
    assert.equal((await generateText({ model, messages: look('What is in this picture?'), ...settings, maxOutputTokens: 2 })).finishReason, 'length');
  });

  test(`${name}: a call, at once and streamed`, async () => {
    const tools = { paint: tool({ description: 'Paint it.', inputSchema: jsonSchema(paint), execute: async () => 'painted' }) };
    const ask = { model, messages: look('Paint it.'), tools, toolChoice: { type: 'tool', toolName: 'paint' }, providerOptions, ...settings };
    const answer = await generateText(ask);
    assert.ok(answer.toolCalls.length > 0 && paints(answer.toolCalls[0].input), JSON.stringify(answer.toolCalls));
    assert.equal(answer.toolResults[0].output, 'painted');
    const streamed = await streamText(ask).toolCalls;
    assert.ok(streamed.length > 0 && paints(streamed[0].input));
    const messages = [...ask.messages, ...answer.response.messages, { role: 'user', content: 'What color is it?' }];
    assert.ok((await generateText({ model, messages, tools, toolChoice: 'none', ...settings })).text.length > 0);
  });

  test(`${name}: an object`, async () => {
    const answer = await generateText({ model, messages: look('Describe it.'), output: Output.object({ schema: jsonSchema(paint) }), ...settings });
    assert.ok(paints(answer.output), answer.text);
  });

  test(`${name}: an error`, async () => {
    await assert.rejects(generateText({ model: provider('nobody'), messages: look('x'), ...settings }), (e) => e.statusCode === 404 && /nobody/.test(e.message));
  });
}

test('embeddings', async () => {
  for (const model of [compatible.embeddingModel('seed'), openai.embeddingModel('seed')]) {
    const { embeddings } = await embedMany({ model, values: ['a circle', 'a star'], maxRetries: 0 });
    assert.equal(embeddings.length, 2);
    for (const e of embeddings) assert.ok(Math.abs(Math.hypot(...e) - 1) < 1e-3);
  }
});
