import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { endless, paint, paints, picture, url, whole } from './common.mjs';

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const image = `data:image/png;base64,${picture}`;
const ask = (text, more = {}) => ({
  model: 'seed', temperature: 0, ...more,
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: image } }, { type: 'text', text }] }],
});
const tools = [{ type: 'function', function: { name: 'paint', parameters: paint, strict: true } }];
const schema = (name, schema) => ({ type: 'json_schema', json_schema: { name, schema, strict: true } });

test('chat about a picture', async () => {
  const q = ask('What is in this picture?');
  const answer = await openai.chat.completions.create(q);
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].message.content, whole);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  q.messages.push(answer.choices[0].message, { role: 'user', content: 'What color is the background?' });
  assert.equal((await openai.chat.completions.create(q)).choices[0].message.content, 'cyan');
});

test('a stream with usage', async () => {
  let text = '', usage;
  for await (const chunk of await openai.chat.completions.create(ask('What is in this picture?', { stream: true, stream_options: { include_usage: true } }))) {
    text += chunk.choices[0]?.delta?.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole);
  assert.ok(usage.completion_tokens > 3);
});

test("the client's own accumulation of a stream", async () => {
  const runner = openai.chat.completions.stream(ask('What color is the background?'));
  assert.equal(await runner.finalContent(), 'cyan');
  assert.equal((await runner.finalChatCompletion()).choices[0].finish_reason, 'stop');
});

test('choices and logprobs', async () => {
  const answer = await openai.chat.completions.create(ask('What color is the background?', { n: 2, logprobs: true, top_logprobs: 2 }));
  assert.deepEqual(answer.choices.map((c) => [c.index, c.message.content]), [[0, 'cyan'], [1, 'cyan']]);
  for (const c of answer.choices) assert.ok(c.logprobs.content.length > 0 && c.logprobs.content[0].top_logprobs.length === 2);
});

test('structured output', async () => {
  const answer = await openai.chat.completions.parse(ask('Describe it.', { response_format: schema('paint', paint) }));
  assert.ok(paints(JSON.parse(answer.choices[0].message.content)));
});

test('tools', async () => {
  const q = ask('Paint it.', { tools, tool_choice: { type: 'function', function: { name: 'paint' } }, parallel_tool_calls: false });
  const { message, finish_reason } = (await openai.chat.completions.create(q)).choices[0];
  assert.equal(finish_reason, 'tool_calls');
  assert.equal(message.tool_calls.length, 1);
  assert.ok(paints(JSON.parse(message.tool_calls[0].function.arguments)));
  const streamed = await openai.chat.completions.stream(q).finalMessage();
  assert.ok(paints(JSON.parse(streamed.tool_calls[0].function.arguments)));
  q.messages.push(message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'painted' });
  assert.equal((await openai.chat.completions.create({ ...q, tool_choice: 'none' })).choices[0].message.tool_calls, undefined);
});

test('completions', async () => {
  const q = { model: 'seed', prompt: 'USER: What color is it? ASSISTANT:', temperature: 0, max_tokens: 6 };
  const answer = await openai.completions.create(q);
  assert.ok(answer.choices[0].text.length > 0 && answer.object === 'text_completion');
  let text = '';
  for await (const chunk of await openai.completions.create({ ...q, stream: true })) text += chunk.choices[0]?.text ?? '';
  assert.equal(text, answer.choices[0].text);
});

test('embeddings, which the client asks for in base64', async () => {
  const { data } = await openai.embeddings.create({ model: 'seed', input: ['a circle', 'a star'] });
  assert.deepEqual(data.map((d) => d.index), [0, 1]);
  for (const d of data) assert.ok(Math.abs(Math.hypot(...d.embedding) - 1) < 1e-3);
});

test('responses', async () => {
  const input = [{ role: 'user', content: [{ type: 'input_image', image_url: image, detail: 'auto' }, { type: 'input_text', text: 'What color is the background?' }] }];
  const answer = await openai.responses.create({ model: 'seed', temperature: 0, input });
  assert.equal(answer.output_text, 'cyan');
  assert.equal(answer.status, 'completed');
  const final = await openai.responses.stream({ model: 'seed', temperature: 0, input }).finalResponse();
  assert.equal(final.output_text, 'cyan');
  const tool = { type: 'function', name: 'paint', parameters: paint, strict: true };
  const called = await openai.responses.create({ model: 'seed', temperature: 0, input, tools: [tool], tool_choice: 'required', parallel_tool_calls: false });
  assert.ok(paints(JSON.parse(called.output.find((o) => o.type === 'function_call').arguments)));
  const shaped = await openai.responses.create({ model: 'seed', temperature: 0, input, text: { format: { type: 'json_schema', name: 'paint', schema: paint, strict: true } } });
  assert.ok(paints(JSON.parse(shaped.output_text)));
});

test('models', async () => {
  const ids = [];
  for await (const m of openai.models.list()) ids.push(m.id);
  assert.ok(ids.some((id) => id.startsWith('seed')));
  assert.equal((await openai.models.retrieve('seed')).object, 'model');
});

test('errors', async () => {
  await assert.rejects(openai.chat.completions.create({ ...ask('x'), model: 'nobody' }), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
  await assert.rejects(openai.chat.completions.create(ask('x', { temperature: 9 })), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature');
  await assert.rejects(openai.chat.completions.create({ model: 'seed', messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(openai.chat.completions.create(ask('x', { response_format: schema('none', false) })), OpenAI.BadRequestError);
});

test('a stream and an answer are aborted', async () => {
  const stream = await openai.chat.completions.create(ask('x', { stream: true, response_format: schema('endless', endless) }));
  let n = 0;
  for await (const _ of stream) if (++n === 3) stream.controller.abort();
  assert.ok(n >= 3 && n < 500, `${n} chunks`); // what has come by then may still be handed out
  const controller = new AbortController();
  const answer = openai.chat.completions.create(ask('x', { response_format: schema('endless', endless) }), { signal: controller.signal });
  setTimeout(() => controller.abort(), 100);
  await assert.rejects(answer, OpenAI.APIUserAbortError);
});
