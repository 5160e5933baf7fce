// Clients from the registries against the `echo` and `rooms` examples: npm's ws and Python's
// websockets. ROOMCAST_PYTHON is an interpreter that has the pinned websockets.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import WebSocket from 'ws';
import { startExample } from './server.mjs';

const python = process.env.ROOMCAST_PYTHON ?? 'python3';
const pythonClient = fileURLToPath(new URL('python_client.py', import.meta.url));
const WAIT = { timeout: 30_000 };
let echo;
let rooms;
let deflating;

before(async () => {
  echo = await startExample('echo');
  rooms = await startExample('rooms');
  deflating = await startExample('rooms', '--deflate', '1');
});

after(async () => {
  await echo?.stop();
  await rooms?.stop();
  await deflating?.stop();
});

/**
 * A connected client with `next()`: its messages in order, as string or Buffer. `answer` is what
 * the server said of extensions, `wire` the socket below.
 */
async function connect(url, ...rest) {
  const socket = new WebSocket(url, ...rest);
  const arrived = [];
  const waiting = [];
  socket.on('message', (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    const waiter = waiting.shift();
    if (waiter) waiter(message);
    else arrived.push(message);
  });
  const upgraded = once(socket, 'upgrade');
  await once(socket, 'open');
  const [{ headers, socket: wire }] = await upgraded;
  const next = () =>
    arrived.length > 0
      ? Promise.resolve(arrived.shift())
      : new Promise((resolve) => waiting.push(resolve));
  const close = async (code) => {
    const closed = once(socket, 'close');
    socket.close(code);
    const [answer] = await closed;
    return answer;
  };
  return { socket, next, close, arrived, wire, answer: headers['sec-websocket-extensions'] };
}

test('ws: the echo gives back each type and size', WAIT, async () => {
  const client = await connect(`ws://${echo.host}/`);
  const sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
  for (const message of ['', 'text', 'Grüße ✓ 𝄞', ...sizes.map((size) => randomBytes(size))]) {
    client.socket.send(message);
    assert.deepEqual(await client.next(), message);
  }
  assert.equal(await client.close(1000), 1000);
});

test('ws: fragments become one message, pings in between are answered', WAIT, async () => {
  const client = await connect(`ws://${echo.host}/`);
  const pong = once(client.socket, 'pong');
  client.socket.send('one ', { fin: false });
  client.socket.ping('between');
  client.socket.send('message', { fin: true });
  assert.equal((await pong)[0].toString(), 'between');
  assert.equal(await client.next(), 'one message');
  assert.equal(await client.close(1000), 1000);
});

test('ws: a close code comes back', WAIT, async () => {
  const client = await connect(`ws://${echo.host}/`);
  assert.equal(await client.close(3456), 3456);
});

test('ws: an offer of compression is no obstacle where it is off', WAIT, async () => {
  const client = await connect(`ws://${rooms.host}/room/off`, {
    perMessageDeflate: { threshold: 0 },
  });
  assert.equal(client.answer, undefined);
  const long = 'again and '.repeat(1000);
  client.socket.send(long);
  assert.equal(await client.next(), long);
  assert.equal(await client.close(1000), 1000);
});

/** JSON of about `bytes`, as an application sends it: no two alike. */
function json(bytes, seed = 0) {
  const item = (n) => ({ id: n, name: `item ${n}`, price: (n * 37) % 991, tags: ['new', 'sale'] });
  return JSON.stringify(Array.from({ length: Math.ceil(bytes / 60) }, (_, n) => item(n + seed)));
}

// What is offered, and the window that the answer is to name.
const OFFERS = [
  [true],
  [{ threshold: 0 }],
  [{ threshold: 0, serverMaxWindowBits: 9 }, 9],
  [{ threshold: 0, serverMaxWindowBits: 10 }, 9],
  [{ threshold: 0, serverMaxWindowBits: 15 }, 15],
  [{ threshold: 0, clientMaxWindowBits: 9 }],
  [{ threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }],
  [{ threshold: 0, zlibDeflateOptions: { level: 9 }, serverMaxWindowBits: 12 }, 9],
];

for (const [perMessageDeflate, bits] of OFFERS) {
  test(`ws: compressed, ${JSON.stringify(perMessageDeflate)}`, WAIT, async () => {
    const client = await connect(`ws://${echo.host}/`, { perMessageDeflate });
    const window = bits ? `; server_max_window_bits=${bits}` : '';
    assert.equal(
      client.answer,
      `permessage-deflate; server_no_context_takeover; client_no_context_takeover${window}`,
    );
    const dense = [1, 300, 1 << 20].map((size) => randomBytes(size));
    const plain = ['', Buffer.alloc(0), 'short', 'Grüße ✓ 𝄞', ...dense];
    const texts = [json(2_000), json(40_000), json(1 << 20)];
    for (const message of [...plain, ...texts, ...plain, Buffer.alloc(1 << 20)]) {
      const { bytesRead, bytesWritten } = client.wire;
      client.socket.send(message);
      assert.deepEqual(await client.next(), message);
      if (!texts.includes(message)) continue;
      assert.ok(client.wire.bytesWritten - bytesWritten < message.length / 2, 'sent compressed');
      assert.ok(client.wire.bytesRead - bytesRead < message.length / 2, 'received compressed');
    }
    const parts = Array.from({ length: 5 }, (_, n) => json(3_000, n * 100));
    const pong = once(client.socket, 'pong');
    parts.forEach((part, n) => {
      client.socket.send(part, { fin: n === parts.length - 1 });
      if (n === 2) client.socket.ping('between');
    });
    assert.equal((await pong)[0].toString(), 'between');
    assert.equal(await client.next(), parts.join(''));
    assert.equal(await client.close(1000), 1000);
  });
}

test('ws: a mixed room hears the same, and some of it in fewer bytes', WAIT, async () => {
  const url = `ws://${deflating.host}/room/mixed`;
  const offers = [false, true, { serverMaxWindowBits: 9, threshold: 0 }];
  const members = await Promise.all(
    offers.map((perMessageDeflate) => connect(url, { perMessageDeflate })),
  );
  const EACH = 60;
  const before = members.map(({ wire }) => wire.bytesRead);
  const noise = randomBytes(5_000);
  members.forEach(({ socket }, who) => {
    for (let number = 0; number < EACH; number += 1) {
      socket.send(number % 4 ? json(1_500, who * 1000 + number) : `${who} ${number}`);
      if (number % 20 === 0) socket.send(noise);
    }
  });
  const total = members.length * (EACH + EACH / 20);
  const heard = await Promise.all(
    members.map(async ({ next }) => {
      const messages = [];
      while (messages.length < total) messages.push(await next());
      return messages;
    }),
  );
  assert.ok(heard[0].includes(json(1_500, 2_001)) && heard[0].includes('1 0'));
  for (const messages of heard) assert.deepEqual(messages, heard[0]);
  const [plain, wide, narrow] = members.map(({ wire }, n) => wire.bytesRead - before[n]);
  assert.ok(wide < plain / 2, `${wide} bytes beside ${plain}`);
  assert.ok(narrow < plain / 2, `${narrow} bytes beside ${plain}`);
  await Promise.all(members.map((member) => member.close(1000)));
});

test('ws: a room is heard by its members, sender included, and by nobody else', WAIT, async () => {
  const [a, b, other] = await Promise.all(
    ['A', 'A', 'B'].map((room) => connect(`ws://${rooms.host}/room/${room}`)),
  );
  a.socket.send('to A');
  assert.equal(await a.next(), 'to A');
  assert.equal(await b.next(), 'to A');
  other.socket.send(Buffer.from([1, 2, 3]));
  assert.deepEqual(await other.next(), Buffer.from([1, 2, 3]));
  assert.deepEqual([a.arrived, b.arrived, other.arrived], [[], [], []]);
  await Promise.all([a, b, other].map((client) => client.close(1000)));
});

test('ws: all members of a room see one order', WAIT, async () => {
  const url = `ws://${rooms.host}/room/order`;
  const clients = await Promise.all(Array.from({ length: 8 }, () => connect(url)));
  const EACH = 50;
  clients.forEach((client, who) => {
    for (let number = 0; number < EACH; number += 1) client.socket.send(`${who} ${number}`);
  });
  const seen = await Promise.all(
    clients.map(async (client) => {
      const messages = [];
      while (messages.length < clients.length * EACH) messages.push(await client.next());
      return messages;
    }),
  );
  for (const messages of seen) assert.deepEqual(messages, seen[0]);
  clients.forEach((_, who) => {
    const own = seen[0].filter((message) => message.startsWith(`${who} `));
    assert.deepEqual(own, Array.from({ length: EACH }, (_, number) => `${who} ${number}`));
  });
  await Promise.all(clients.map((client) => client.close(1000)));
});

test('Python websockets: echo', WAIT, () =>
  promisify(execFile)(python, [pythonClient, 'echo', `ws://${echo.host}/`]));

test('Python websockets: rooms', WAIT, () =>
  promisify(execFile)(python, [pythonClient, 'rooms', `ws://${rooms.host}/room/python`]));

test('Python websockets: compressed', WAIT, () =>
  promisify(execFile)(python, [pythonClient, 'deflate', `ws://${echo.host}/`]));

test('Python websockets: a mixed room', WAIT, () =>
  promisify(execFile)(python, [pythonClient, 'mixed', `ws://${deflating.host}/room/python`]));
