// A reader, in a worker of its own: reads one stream and keeps the newest of each ticker.
//
// In: `{ open: address, by, count }` and `{ stall }`. Out, twenty times a second, what it
// has, and `{ closed: code }` when the stream has ended. `by` says who reads:
//
// - `stream`: WebSocketStream. While nobody asks it for more, the browser stops reading the socket.
// - `socket`: WebSocket, which reads whatever comes. It cannot be stalled.
// - `relay`: a reader in the host, which reports here what it has.

const REPORT_MS = 50;
/** A stream that never runs dry would leave no time for anything else. */
const READ_MS_MAX = 10;
/** The code of a connection that ended without one. */
const VANISHED = 1006;

let values = null;
let frames = 0;
let bytes = 0;
let begun = null;
/** Prices that were no newer than the one before: there must be none. */
let disordered = 0;
let stalled = false;
/** Readings that wait for the end of a stall. */
let waiting = [];
/** Each stream has a number: what an earlier one still says is passed over. */
let current = 0;
let stall = () => {};
let end = () => {};

const clear = (count) => ({
  price: new Float64Array(count), steps: new Uint32Array(count), time: new Float64Array(count),
});

function takeValue({ s, p, n, t }) {
  const at = Number(s.slice(1)) - 1;
  if (n <= values.steps[at]) disordered += 1;
  values.price[at] = p;
  values.steps[at] = n;
  values.time[at] = t;
}

/** A frame of the room, or a word of the host in its place among them. */
function take(text) {
  const said = JSON.parse(text);
  if (said.type === 'begun') {
    begun = said.offset;
    values = clear(values.price.length);
    frames = 0;
    bytes = 0;
  } else if (said.type === 'unwatched') {
    for (const key of said.keys) values.steps[Number(key.slice(1)) - 1] = 0;
  } else if (said.type === 'relayed') {
    said.values.forEach(takeValue);
    [frames, bytes] = [said.frames, said.bytes];
  } else if (said.s) {
    frames += 1;
    bytes += text.length;
    takeValue(said);
  }
}

function closed(number, code) {
  if (number === current) postMessage({ closed: code ?? VANISHED });
}

async function openStream(address, number) {
  const stream = new WebSocketStream(address);
  end = () => stream.close();
  stream.closed.then(
    ({ closeCode }) => closed(number, closeCode),
    (error) => closed(number, error.closeCode),
  );
  try {
    const reader = (await stream.opened).readable.getReader();
    let since = performance.now();
    for (;;) {
      if (performance.now() - since > READ_MS_MAX) {
        await new Promise((resolve) => setTimeout(resolve));
        since = performance.now();
      }
      if (stalled) await new Promise((resolve) => waiting.push(resolve));
      const { value, done } = await reader.read();
      if (done) return;
      if (number === current) take(value);
    }
  } catch {
    // `closed` has said why.
  }
}

function openSocket(address, number) {
  const socket = new WebSocket(address);
  socket.onmessage = ({ data }) => number === current && take(data);
  socket.onclose = ({ code }) => closed(number, code);
  end = () => socket.close();
  return socket;
}

function goOn() {
  waiting.forEach((resolve) => resolve());
  waiting = [];
}

function open({ open: address, by, count }) {
  current += 1;
  end();
  goOn();
  values = clear(count);
  [frames, bytes, begun] = [0, 0, null];
  stall = () => {};
  const number = current;
  if (by === 'stream') {
    openStream(address, number);
    return;
  }
  const socket = openSocket(address, number);
  if (by !== 'relay') return;
  const tell = () => socket.send(stalled ? 'stall' : 'resume');
  socket.onopen = tell;
  stall = () => socket.readyState === WebSocket.OPEN && tell();
}

onmessage = ({ data }) => {
  if (data.open) open(data);
  if (data.stall !== undefined) {
    stalled = data.stall;
    stall();
    if (!stalled) goOn();
  }
};

setInterval(() => {
  if (values) postMessage({ values, frames, bytes, begun, disordered });
}, REPORT_MS);
