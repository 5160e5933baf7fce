// The page: what the host says goes to people, notes and plots; what one does here goes to it.
// The lines, as the host writes and reads them, are listed in lines.rs.

import { Notes } from './notes.js';
import { People, PLACE_MAX } from './people.js';
import { Plots } from './plots.js';
import { openWire, paced } from './wire.js';

const CURSOR_MS = 30;
const ECHO_MS = 500;
const USERS_PER_CLICK = 300;

const one = (selector) => document.querySelector(selector);
const surface = one('[data-testid=surface]');
const tabs = one('.tabs');
const size = { width: surface.clientWidth, height: surface.clientHeight };

/** What this page knows, for whoever looks at it from outside. */
const state = (window.roomcastBoard = {
  me: null, peers: {}, room: location.hash.slice(1) || 'main', connected: false,
});

const wire = openWire({
  address: () => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    return `${scheme}://${location.host}/ws?board=${encodeURIComponent(state.room)}`;
  },
  onMessage: (lines) => {
    for (const line of lines) onLine(line);
    if (snapshot) notes.endAll();
    snapshot = false;
  },
  onLive,
});
const people = new People({
  layer: one('.cursors'), list: one('[data-testid=here]'), count: one('[data-testid=here-count]'),
  size,
  onName: (name) => {
    sessionStorage.setItem('name', name);
    wire.send('w', name);
  },
});
const notes = new Notes({ layer: one('.notes'), surface, size, send: wire.send });
const plots = new Plots(one('[data-testid=metrics]'));
state.peers = people.peers;
let snapshot = false;

/** The first `count` words of a line, and the rest of it as one. */
function words(line, count) {
  const found = [];
  let from = 0;
  while (found.length < count) {
    const space = line.indexOf(' ', from);
    if (space < 0) break;
    found.push(line.slice(from, space));
    from = space + 1;
  }
  return [...found, line.slice(from)];
}

const lines = {
  hello(rest) {
    const [id] = words(rest, 1);
    plots.clear();
    tabs.replaceChildren();
    state.me = people.me = id;
    const name = sessionStorage.getItem('name');
    if (name) wire.send('w', name);
  },
  b(rest) {
    const [key, title] = words(rest, 1);
    const tab = document.createElement('button');
    tab.dataset.board = key;
    tab.append(title, document.createElement('b'));
    tab.onclick = () => key !== state.room && wire.send('b', key);
    tabs.append(tab);
  },
  room(key) {
    snapshot = true;
    state.room = key;
    history.replaceState(null, '', `#${key}`);
    for (const tab of tabs.children) tab.setAttribute('aria-current', tab.dataset.board === key);
    people.clear();
    notes.beginAll();
  },
  p(rest) {
    const [id, hue, kind, x, y, name] = words(rest, 5);
    const place = (n) => (n === '-' ? null : Number(n));
    people.add({ id, hue, synthetic: kind === 's', x: place(x), y: place(y), name });
  },
  c(rest) {
    const [id, x, y] = rest.split(' ');
    people.move(id, Number(x), Number(y));
  },
  q: (id) => people.remove(id),
  w: (rest) => people.rename(...words(rest, 1)),
  n(rest) {
    const [id, x, y, hue, by, text] = words(rest, 5);
    const note = notes.put({ id, x: Number(x), y: Number(y), hue, text });
    if (by === state.me) notes.edit(note);
  },
  d(rest) {
    const [id, x, y] = rest.split(' ');
    notes.move(id, Number(x), Number(y));
  },
  t: (rest) => notes.setText(...words(rest, 1)),
  x: (id) => notes.remove(id),
  s(rest) {
    const sample = Object.fromEntries(rest.split(' ').map((pair) => pair.split('=')));
    const counts = sample.in.split(',');
    delete sample.in;
    for (const key of Object.keys(sample)) sample[key] = Number(sample[key]);
    plots.add(sample);
    onCounts(counts, sample);
  },
  e(sent) {
    plots.trip = (performance.now() - Number(sent)) * 1e6;
  },
  say: toast,
};

function onLine(line) {
  const [word, rest] = words(line, 1);
  if (rest !== undefined && Object.hasOwn(lines, word)) lines[word](rest);
}

function onLive(live, why) {
  state.connected = live;
  const link = one('[data-testid=link]');
  link.textContent = live ? 'live' : why ? `coming back (${why})` : 'coming back';
  link.classList.toggle('live', live);
  if (!live) plots.trip = null;
}

function onCounts(counts, { synth, synthmax }) {
  [...tabs.children].forEach((tab, i) => {
    tab.lastElementChild.textContent = counts[i] > 0 ? Number(counts[i]).toLocaleString('en') : '';
  });
  one('[data-testid=add-users]').disabled = synth >= synthmax;
  one('[data-testid=remove-users]').disabled = synth === 0;
  if (synth > 0) {
    one('[data-testid=crowd]').textContent =
      `${synth.toLocaleString('en')} synthetic users are connected, at most `
      + `${synthmax.toLocaleString('en')}. Each is a WebSocket client.`;
  } else {
    one('[data-testid=crowd]').textContent =
      'Synthetic users are real WebSocket clients on the server’s machine.';
  }
}

let toastTimer;
function toast(text) {
  const element = one('.toast');
  element.textContent = text;
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (element.hidden = true), 3_000);
}

const sendCursor = paced(CURSOR_MS, (x, y) => wire.send('m', x, y));
surface.addEventListener('pointermove', (event) => {
  const box = surface.getBoundingClientRect();
  const place = (at, span) => Math.round(Math.min(Math.max(at / span, 0), 1) * PLACE_MAX);
  const x = place(event.clientX - box.left, box.width);
  sendCursor(x, place(event.clientY - box.top, box.height));
});

new ResizeObserver(() => {
  [size.width, size.height] = [surface.clientWidth, surface.clientHeight];
  people.redraw();
  notes.redraw();
}).observe(surface);

one('[data-testid=add-users]').onclick = () => wire.send('users', USERS_PER_CLICK);
one('[data-testid=remove-users]').onclick = () => wire.send('users', 0);
setInterval(() => wire.send('e', performance.now().toFixed(3)), ECHO_MS);
