import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { picture, url } from './common.mjs';

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const isPNG = (b64) => Buffer.from(b64, 'base64').subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'));

test('pictures of a text', async () => {
  const drawn = await openai.images.generate({ model: 'tiny', prompt: 'a red house', n: 2, size: '512x512', quality: 'standard', response_format: 'b64_json' });
  assert.equal(drawn.data.length, 2);
  assert.ok(drawn.created > 0 && drawn.data.every((d) => isPNG(d.b64_json)));
  assert.equal(drawn.size, '512x512');
});

test('a picture that begins with another, and a mask', async () => {
  const file = (name) => toFile(Buffer.from(picture, 'base64'), name, { type: 'image/png' });
  const drawn = await openai.images.edit({ model: 'tiny', prompt: 'in winter', image: await file('a.png'), mask: await file('m.png'), size: '64x64' });
  assert.ok(isPNG(drawn.data[0].b64_json));
  const list = await openai.images.edit({ model: 'tiny', prompt: 'in winter', image: [await file('a.png')], n: 1 });
  assert.ok(isPNG(list.data[0].b64_json));
});

test('what cannot be drawn is an error of OpenAI', async () => {
  await assert.rejects(openai.images.generate({ model: 'seed', prompt: 'x' }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'model');
  await assert.rejects(openai.images.generate({ model: 'tiny', prompt: 'x', response_format: 'url' }), OpenAI.BadRequestError);
  await assert.rejects(openai.images.generate({ model: 'none', prompt: 'x' }), OpenAI.NotFoundError);
  await assert.rejects(
    openai.chat.completions.create({ model: 'tiny', messages: [{ role: 'user', content: 'hi' }] }),
    (e) => e instanceof OpenAI.BadRequestError && e.message.includes('draws pictures'),
  );
});
