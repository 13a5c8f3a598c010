// What the tests of all clients share. The server's address and the folder of pictures come from the test that runs these files.
import { readFileSync } from 'node:fs';

export const url = process.env.EYELET_TEST_URL;
export const picture = readFileSync(`${process.env.EYELET_TEST_PICTURES}/shape-4.png`).toString('base64');

// What the built-in model says of the picture.
export const whole = 'an orange circle on a cyan background';

// A tool, and whether a call of it keeps to its schema.
export const paint = {
  type: 'object',
  properties: { color: { enum: ['red', 'cyan'] }, size: { type: 'integer', minimum: 1, maximum: 99 } },
  required: ['color', 'size'],
  additionalProperties: false,
};
export function paints({ color, size, ...others }) {
  return ['red', 'cyan'].includes(color) && Number.isInteger(size) && size >= 1 && size <= 99 && Object.keys(others).length === 0;
}

// An answer that takes so long that no test waits for it.
export const endless = {
  type: 'object',
  properties: { numbers: { type: 'array', items: { type: 'integer' }, minItems: 900 } },
  required: ['numbers'],
};
