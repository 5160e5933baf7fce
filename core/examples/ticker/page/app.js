// The page: one connection for what it says and is told, two panels, the market and the figures.

import { Figures, duration, whole } from './figures.js';
import { COLUMNS, scale } from './grid.js';
import { Panel } from './panel.js';

const DRAW_MS = 80;
const SHOW_MS = 250;
const WAIT_MS = 1_000;
const find = (name) => document.querySelector(`[data-testid=${name}]`);

const page = [...crypto.getRandomValues(new Uint8Array(12))]
  .map((byte) => byte.toString(36).padStart(2, '0').slice(-2)).join('');
const known = { connected: false, rate: 20, sectors: [], tracked: null, samples: 0 };
let socket;

const send = (...words) => {
  if (socket?.readyState === WebSocket.OPEN) socket.send(words.join(' '));
};

const tip = document.querySelector('.tip');
let pointed = null;

/** Both grids show the ticker that the pointer is on in either. */
function onPoint(at, event) {
  pointed = at;
  for (const panel of Object.values(panels)) panel.grid.pointed = at;
  tip.hidden = at === null;
  if (at === null) return;
  const right = event.clientX + 260 > window.innerWidth;
  tip.style.left = `${event.clientX + (right ? -236 : 16)}px`;
  tip.style.top = `${event.clientY + 18}px`;
}

const root = document.querySelector('.panels');
const panels = Object.fromEntries(['fast', 'slow'].map((side) =>
  [side, new Panel(root, { side, page, send, onPoint })]));
const figures = new Figures(find('figures'));

function showTip() {
  if (pointed === null) return;
  const lines = Object.entries(panels).map(([side, { values }]) => {
    if (!values || values.steps[pointed] === 0) return `${side}: not sent`;
    const age = Math.max(0, Date.now() - values.time[pointed]);
    return `${side}: ${values.price[pointed].toFixed(2)}, ${duration(age)} old`;
  });
  const sector = known.sectors[Math.floor((pointed * known.sectors.length) / known.tickers)];
  tip.textContent = [`T${String(pointed + 1).padStart(4, '0')} · ${sector}`, ...lines].join('\n');
}

function showLegend() {
  const isDark = matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.style.setProperty('--scale', scale(isDark));
}

// The market.

const rate = find('rate');
const pause = find('pause');

function showRate(now) {
  known.rate = now;
  const isPaused = now === 0;
  pause.textContent = isPaused ? 'Resume the market' : 'Pause the market';
  pause.setAttribute('aria-pressed', String(isPaused));
  if (!isPaused && document.activeElement !== rate) rate.value = now;
  const each = `${rate.value} updates/s`;
  const all = `${whole(rate.value * (known.tickers ?? 1000))} in all`;
  find('rate-text').textContent = isPaused ? 'paused' : `${each}, ${all}`;
}

rate.addEventListener('input', () => {
  send('rate', rate.value);
  showRate(Number(rate.value));
});
rate.addEventListener('change', () => rate.blur());
pause.addEventListener('click', () => {
  const next = known.rate === 0 ? Number(rate.value) : 0;
  send('rate', next);
  showRate(next);
});

// What the host says.

function onHello({ tickers, sectors, rate: now }) {
  Object.assign(known, { tickers, sectors });
  showRate(now);
  for (const panel of Object.values(panels)) {
    const rows = tickers / sectors.length / COLUMNS;
    panel.parts.sectors.replaceChildren(...sectors.map((name) => {
      const entry = document.createElement('li');
      entry.textContent = name;
      entry.style.flexGrow = rows;
      return entry;
    }));
    panel.start(tickers);
  }
}

function onDelivered(said) {
  known.tracked = said;
  const fates = ['reached', 'filtered', 'skipped', 'conflated', 'lagging']
    .filter((fate) => said[fate] > 0).map((fate) => `${fate} ${said[fate]}`);
  const what = fates.join(', ') || 'had no reader';
  find('tracked').textContent = `One update a second is tracked: no. ${whole(said.offset)} ${what}`;
}

const on = {
  hello: onHello,
  delivered: onDelivered,
  figures(said) {
    figures.add({ ...said.engine, published: said.offset }, performance.now());
    Object.assign(known, { engine: said.engine, figures: said, samples: known.samples + 1 });
    if (document.activeElement !== rate && said.rate !== known.rate) showRate(said.rate);
    for (const panel of Object.values(panels)) panel.onOffset(said.offset);
  },
  begun: (said) => panels[said.side].onBegun(said),
  missed: (said) => panels[said.side].onMissed(said),
  ended: (said) => panels[said.side].onEnded(said),
  wrong: (said) => panels[said.side]?.onRefused(said),
};

function open() {
  const link = find('link');
  socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/control?page=${page}`);
  const live = (isLive, text) => {
    known.connected = isLive;
    link.textContent = text;
    link.classList.toggle('live', isLive);
  };
  socket.onopen = () => live(true, 'connected');
  socket.onmessage = ({ data }) => {
    const said = JSON.parse(data);
    on[said.type]?.(said);
  };
  socket.onclose = () => {
    live(false, 'no connection');
    figures.clear();
    setTimeout(open, WAIT_MS);
  };
}

showLegend();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', showLegend);
setInterval(() => Object.values(panels).forEach((panel) => panel.draw()), DRAW_MS);
setInterval(() => {
  panels.fast.show();
  panels.slow.show(panels.fast);
  showTip();
}, SHOW_MS);
open();

/** For tests: what the page knows. */
window.roomcastTicker = {
  known,
  get connected() { return known.connected; },
  reader(side) {
    const { values, ledger, frames, reports, disordered } = panels[side];
    const { missed, isStalled, by, accepted } = panels[side];
    if (!values) return null;
    const { price, steps, time } = values;
    return {
      price: [...price], steps: [...steps], time: [...time],
      ledger, frames, reports, disordered, missed, isStalled, by, accepted,
    };
  },
};
