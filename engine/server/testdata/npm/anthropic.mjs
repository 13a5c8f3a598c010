import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { paint, paints, picture, url, whole } from './common.mjs';

const anthropic = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
const ask = (text, more = {}) => ({
  model: 'seed', max_tokens: 100, temperature: 0, ...more,
  messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: picture } }, { type: 'text', text }] }],
});

test('messages about a picture', async () => {
  const q = ask('What is in this picture?');
  const answer = await anthropic.messages.create(q);
  assert.equal(answer.type, 'message');
  assert.deepEqual(answer.content.map((b) => [b.type, b.text]), [['text', whole]]);
  assert.equal(answer.stop_reason, 'end_turn');
  const counted = await anthropic.messages.countTokens({ model: 'seed', messages: q.messages });
  assert.equal(counted.input_tokens, answer.usage.input_tokens + answer.usage.cache_read_input_tokens);
  q.messages.push({ role: 'assistant', content: answer.content }, { role: 'user', content: 'What color is the background?' });
  assert.equal((await anthropic.messages.create(q)).content[0].text, 'cyan');
});

test('a stream', async () => {
  const stream = anthropic.messages.stream(ask('What is in this picture?'));
  let text = '';
  stream.on('text', (delta) => (text += delta));
  const message = await stream.finalMessage();
  assert.equal(text, whole);
  assert.equal(message.content[0].text, whole);
  assert.equal(message.stop_reason, 'end_turn');
  const kinds = new Set();
  for await (const event of await anthropic.messages.create(ask('What color is it?', { stream: true }))) kinds.add(event.type);
  assert.deepEqual([...kinds], ['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']);
});

test('ends', async () => {
  const stopped = await anthropic.messages.create(ask('What is in this picture?', { stop_sequences: ['ge ci'] }));
  assert.deepEqual([stopped.stop_reason, stopped.stop_sequence, stopped.content[0].text], ['stop_sequence', 'ge ci', 'an oran']);
  assert.equal((await anthropic.messages.create(ask('What is in this picture?', { max_tokens: 2 }))).stop_reason, 'max_tokens');
});

test('tools', async () => {
  const q = ask('Paint it.', { tools: [{ name: 'paint', description: 'Paint it.', input_schema: paint }], tool_choice: { type: 'tool', name: 'paint', disable_parallel_tool_use: true } });
  const answer = await anthropic.messages.create(q);
  assert.equal(answer.stop_reason, 'tool_use');
  assert.equal(answer.content.length, 1);
  assert.ok(paints(answer.content[0].input));
  const streamed = await anthropic.messages.stream(q).finalMessage();
  assert.ok(paints(streamed.content[0].input));
  q.messages.push({ role: 'assistant', content: answer.content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: answer.content[0].id, content: 'painted' }, { type: 'text', text: 'What color is it?' }] });
  assert.notEqual((await anthropic.messages.create({ ...q, tool_choice: { type: 'none' } })).stop_reason, 'tool_use');
});

test('structured output', async () => {
  const answer = await anthropic.messages.create(ask('Describe it.', { output_config: { format: { type: 'json_schema', schema: paint } } }));
  assert.ok(paints(JSON.parse(answer.content[0].text)));
});

test('models', async () => {
  const ids = [];
  for await (const m of anthropic.models.list()) ids.push(m.id);
  assert.ok(ids.some((id) => id.startsWith('seed')));
});

test('errors', async () => {
  await assert.rejects(anthropic.messages.create({ ...ask('x'), model: 'nobody' }), (e) => e instanceof Anthropic.NotFoundError && e.error.error.type === 'not_found_error');
  await assert.rejects(anthropic.messages.create({ model: 'seed', max_tokens: 5, messages: [] }), Anthropic.BadRequestError);
  await assert.rejects(anthropic.messages.create(ask('x', { temperature: -1 })), Anthropic.BadRequestError);
});

test('a stream is aborted', async () => {
  const stream = anthropic.messages.stream(ask('What is in this picture?', { max_tokens: 4000 }));
  let n = 0;
  await assert.rejects(async () => {
    for await (const _ of stream) if (++n === 3) stream.abort();
  }, Anthropic.APIUserAbortError);
  assert.ok(n >= 3);
});
