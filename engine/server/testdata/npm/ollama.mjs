import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ollama } from 'ollama';
import { endless, paint, paints, picture, url, whole } from './common.mjs';

const ollama = new Ollama({ host: url });
const options = { temperature: 0, repeat_penalty: 1 };
const look = (content) => [{ role: 'user', content, images: [picture] }];

test('chat about a picture', async () => {
  const messages = look('What is in this picture?');
  const answer = await ollama.chat({ model: 'seed', messages, options });
  assert.equal(answer.message.content, whole);
  assert.equal(answer.message.role, 'assistant');
  assert.equal(answer.done_reason, 'stop');
  assert.ok(answer.prompt_eval_count > 64 && answer.eval_count > 0 && answer.total_duration > 0);
  messages.push(answer.message, { role: 'user', content: 'What color is the background?' });
  assert.equal((await ollama.chat({ model: 'seed', messages, options })).message.content, 'cyan');
});

test('a stream', async () => {
  let text = '', pieces = 0, last;
  for await (const part of await ollama.chat({ model: 'seed', messages: look('What is in this picture?'), stream: true, options })) {
    text += part.message.content;
    pieces++;
    last = part;
  }
  assert.equal(text, whole);
  assert.ok(pieces > 3 && last.done && last.done_reason === 'stop');
});

test('generate, whole and streamed', async () => {
  const q = { model: 'seed', prompt: 'What color is the background?', images: [picture], options };
  const answer = await ollama.generate(q);
  assert.equal(answer.response, 'cyan');
  assert.ok(answer.context.length > 8);
  let text = '';
  for await (const part of await ollama.generate({ ...q, stream: true })) text += part.response;
  assert.equal(text, 'cyan');
});

test('structured output', async () => {
  const answer = await ollama.chat({ model: 'seed', messages: look('Describe it.'), format: paint, options });
  assert.ok(paints(JSON.parse(answer.message.content)), answer.message.content);
});

test('tools in a conversation', async () => {
  const tools = [{ type: 'function', function: { name: 'paint', description: 'Paint it.', parameters: paint } }];
  const messages = [...look('Paint it.'), { role: 'assistant', content: '', tool_calls: [{ function: { name: 'paint', arguments: { color: 'red', size: 5 } } }] },
    { role: 'tool', tool_name: 'paint', content: 'painted' }];
  const answer = await ollama.chat({ model: 'seed', messages, tools, options: { ...options, num_predict: 40 } });
  for (const call of answer.message.tool_calls ?? []) assert.ok(paints(call.function.arguments));
  assert.ok(answer.done);
});

test('embeddings', async () => {
  const { embeddings } = await ollama.embed({ model: 'seed', input: ['a circle', 'a star'] });
  assert.equal(embeddings.length, 2);
  for (const e of embeddings) assert.ok(Math.abs(Math.hypot(...e) - 1) < 1e-3);
  assert.equal((await ollama.embeddings({ model: 'seed', prompt: 'a circle' })).embedding.length, embeddings[0].length);
});

test('models', async () => {
  assert.ok((await ollama.list()).models.some((m) => m.name === 'seed:latest'));
  const show = await ollama.show({ model: 'seed' });
  assert.ok(show.capabilities.includes('vision') && show.details.format === 'gguf' && show.model_info);
  assert.ok((await ollama.ps()).models.some((m) => m.name === 'seed:latest'));
  assert.match((await ollama.version()).version, /./);
  await ollama.copy({ source: 'seed', destination: 'other' }).catch((e) => assert.match(e.message, /seed/)); // it is a file of the operator's
});

test('errors', async () => {
  await assert.rejects(ollama.chat({ model: 'nobody', messages: look('x') }), (e) => e.status_code === 404 && /nobody/.test(e.message));
  await assert.rejects(ollama.chat({ model: 'seed', messages: [{ role: 'user', content: 'x', images: [Buffer.from('no picture').toString('base64')] }] }), (e) => e.status_code === 400);
  await assert.rejects(ollama.generate({ model: 'seed', prompt: 'x', options: { top_p: 7 } }), (e) => e.status_code === 400 && /top_p/.test(e.message));
});

test('a stream is aborted', async () => {
  const stream = await ollama.chat({ model: 'seed', messages: look('x'), format: endless, stream: true });
  let n = 0;
  await assert.rejects(async () => {
    for await (const _ of stream) if (++n === 3) stream.abort();
  }, { name: 'AbortError' });
  assert.ok(n >= 3 && n < 500, `${n} parts`); // what has come by then is still handed out
});
