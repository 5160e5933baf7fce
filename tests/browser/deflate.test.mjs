// Compression with headless Chromium: a page agrees on permessage-deflate with the examples, and
// its messages arrive whole. CHROMIUM names the browser, ROOMCAST_EXAMPLES the folder of the built
// examples.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { startExample } from './server.mjs';

const WAIT = { timeout: 60_000 };
let echo;
let rooms;
let browser;
let page;

before(async () => {
  echo = await startExample('echo');
  rooms = await startExample('rooms', '--deflate', '1');
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  page = await browser.newPage();
});

after(async () => {
  await browser?.close();
  await echo?.stop();
  await rooms?.stop();
});

/** In the page: says `texts` and as many bytes each, and gives what came back. */
function converse(url, texts) {
  return page.evaluate(
    ([url, texts]) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        socket.binaryType = 'arraybuffer';
        const heard = [];
        socket.onopen = () => {
          for (const text of texts) {
            socket.send(text);
            socket.send(new TextEncoder().encode(text));
          }
        };
        socket.onmessage = ({ data }) => {
          heard.push(typeof data === 'string' ? data : [new TextDecoder().decode(data)]);
          if (heard.length === texts.length * 2) socket.close(1000);
        };
        socket.onclose = ({ code, reason }) =>
          code === 1000
            ? resolve({ extensions: socket.extensions, heard })
            : reject(new Error(`closed with ${code} ${reason}`));
      }),
    [url, texts],
  );
}

const list = (count) => JSON.stringify(Array.from({ length: count }, (_, n) => ({ n, on: n % 3 })));
const texts = ['', 'short', 'Grüße ✓ 𝄞', list(20), list(2_000), list(60_000), 'a'.repeat(1 << 20)];
/** What is to be heard: text as it was said, bytes in a list of one. */
const expected = (texts) => texts.flatMap((text) => [text, [text]]);

test('Chromium: what is echoed comes back whole, compressed both ways', WAIT, async () => {
  const { extensions, heard } = await converse(`ws://${echo.host}/`, texts);
  assert.match(extensions, /permessage-deflate/);
  assert.deepEqual(heard, expected(texts));
});

test('Chromium: a room with a plain member hears the same', WAIT, async () => {
  const url = `ws://${rooms.host}/room/page`;
  const plain = new WebSocket(url, { perMessageDeflate: false });
  const small = texts.filter((text) => text.length < 60_000);
  const heard = [];
  const all = new Promise((resolve) => {
    plain.on('message', (data, isBinary) => {
      heard.push(isBinary ? [data.toString()] : data.toString());
      if (heard.length === small.length * 2) resolve();
    });
  });
  await once(plain, 'open');
  const said = await converse(url, small);
  assert.match(said.extensions, /permessage-deflate/);
  assert.deepEqual(said.heard, expected(small));
  await all;
  assert.deepEqual(heard, expected(small));
  plain.close(1000);
});
