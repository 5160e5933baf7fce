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

before(async () => {
  echo = await startExample('echo');
  rooms = await startExample('rooms');
});

after(async () => {
  await echo?.stop();
  await rooms?.stop();
});

/** A connected client with `next()`: its messages in order, as string or Buffer. */
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
  await once(socket, 'open');
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
  return { socket, next, close, arrived };
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

test('ws: an offer of compression is no obstacle', WAIT, async () => {
  const client = await connect(`ws://${echo.host}/`, { perMessageDeflate: { threshold: 0 } });
  const long = 'again and '.repeat(1000);
  client.socket.send(long);
  assert.equal(await client.next(), long);
  assert.equal(await client.close(1000), 1000);
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
