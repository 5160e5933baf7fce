// A reader's panel: its worker, its terms, and what of it is seen.
//
// In: what the worker has, what the host says of this reader, what people choose. Out: lines to the
// host, by `send`.

import { Grid } from './grid.js';
import { Plot } from './plot.js';
import { duration, size, whole } from './figures.js';

/** The page's own address may say otherwise: `?stall=SECONDS&interval=MS`. */
const chosen = new URLSearchParams(location.search);
const STALL_S = Number(chosen.get('stall')) || 10;
const OPEN_AGAIN_MS = 500;
/** A price is behind the fast reader's when it is so much older. */
const BEHIND_MS = 1_000;
const BY = { stream: 'Read by this browser', relay: 'Read by the host' };
/** What reads, and what a stall is then. */
const HOW = {
  socket: 'A WebSocket in a worker, read as it comes.',
  stream: 'A WebSocketStream in a worker: stalled, the browser leaves its socket unread.',
  relay: 'A WebSocket client in the host’s process: stalled, it leaves its socket unread.',
  relayOnly: 'A client in the host’s process, since this browser reads whatever comes.',
};

const symbol = (at) => `T${String(at + 1).padStart(4, '0')}`;

/** The symbols of a list such as `T0001, T0100-T0120`; an empty one means all. */
function symbolsOf(text, count) {
  const all = new Set();
  for (const word of text.toUpperCase().split(/[\s,]+/).filter(Boolean)) {
    const [, from, to] = word.match(/^T?(\d{1,4})(?:-T?(\d{1,4}))?$/) ?? [];
    if (!from) throw new Error(`“${word}” is no symbol, such as T0001, and no range of them`);
    const last = Math.min(Number(to ?? from), count);
    for (let i = Number(from); i <= last; i += 1) if (i > 0) all.add(symbol(i - 1));
  }
  return [...all];
}

export class Panel {
  constructor(root, { side, page, send, onPoint }) {
    Object.assign(this, { side, page, send, keys: [], rates: [], missed: 0 });
    this.host = null;
    this.values = null;
    this.stallUntil = 0;
    this.begun = null;
    [this.asked, this.accepted] = ['', ''];
    const fragment = document.getElementById('panel').content.cloneNode(true);
    this.parts = {};
    for (const part of fragment.querySelectorAll('[data-part]')) {
      this.parts[part.dataset.part] = part;
    }
    this.section = fragment.querySelector('section');
    this.section.dataset.testid = side;
    this.parts.title.textContent = side === 'fast' ? 'A fast reader' : 'A slow reader';
    this.parts['differ-name'].textContent =
      side === 'fast' ? 'Tickers received' : 'Behind by > 1 s';
    this.parts.grid.setAttribute('aria-label', `The prices that the ${side} reader has`);
    root.append(fragment);
    this.grid = new Grid(this.parts.grid, { onPoint, onPick: (at) => this.toggle(symbol(at)) });
    this.plot = new Plot(this.parts.plot);
    this.listen();
    if (side === 'slow') this.offerStall();
    this.by = side === 'fast' ? 'socket' : this.parts.by.value;
    if (chosen.has('interval')) this.parts.interval.value = chosen.get('interval');
  }

  listen() {
    const { policy, interval, keys, filter, terms } = this.parts;
    for (const part of [policy, interval]) part.addEventListener('change', () => this.set());
    filter.addEventListener('change', () => this.set(filter.value.trim()));
    keys.addEventListener('change', () => this.setKeys(keys.value));
    terms.addEventListener('submit', (event) => {
      event.preventDefault();
      document.activeElement?.blur();
    });
  }

  offerStall() {
    const { by, stall } = this.parts;
    const choices = typeof WebSocketStream === 'function' ? ['stream', 'relay'] : ['relay'];
    by.replaceChildren(...choices.map((value) => new Option(BY[value], value)));
    by.hidden = choices.length === 1;
    this.hasStream = choices.length > 1;
    by.addEventListener('change', () => {
      this.by = by.value;
      this.open();
    });
    stall.hidden = false;
    stall.addEventListener('click', () => this.stall(this.isStalled ? 0 : STALL_S * 1000));
  }

  // The stream.

  /** From now on, with so many tickers. */
  start(count) {
    this.count = count;
    if (!this.worker) {
      this.worker = new Worker('/reader.js');
      this.worker.onmessage = ({ data }) => this.onReport(data);
    }
    this.open();
  }

  open() {
    clearTimeout(this.again);
    const { policy, interval } = this.parts;
    const query = new URLSearchParams({
      page: this.page, side: this.side, policy: policy.value, interval: interval.value,
      keys: this.keys.join(',') || '*', filter: this.accepted,
    });
    const path = this.by === 'relay' ? 'relay' : 'feed';
    const address = `${location.origin.replace(/^http/, 'ws')}/${path}?${query}`;
    Object.assign(this, { host: null, values: null, ended: null, rates: [], isNew: true });
    const isOnly = this.by === 'relay' && !this.hasStream;
    this.parts.how.textContent = HOW[isOnly ? 'relayOnly' : this.by];
    this.worker.postMessage({ open: address, by: this.by, count: this.count });
  }

  onReport(data) {
    if (data.closed !== undefined) {
      this.ended ??= { code: data.closed };
      const left = Math.max(OPEN_AGAIN_MS, this.stallUntil - performance.now());
      this.again = setTimeout(() => this.open(), left);
      return;
    }
    this.values = data.values;
    const now = performance.now();
    const first = this.rates[0];
    if (first && data.frames < this.rates.at(-1).frames) this.rates = [];
    this.rates.push({ now, frames: data.frames, bytes: data.bytes });
    while (this.rates[1] && now - this.rates[1].now >= 1000) this.rates.shift();
    [this.frames, this.begun] = [data.frames, data.begun];
    this.disordered = data.disordered;
    this.reports = (this.reports ?? 0) + 1;
  }

  get isStalled() {
    return this.stallUntil > performance.now();
  }

  stall(ms) {
    this.stallUntil = performance.now() + ms;
    this.worker.postMessage({ stall: ms > 0 });
    clearTimeout(this.stallTimer);
    if (ms > 0) this.stallTimer = setTimeout(() => this.stall(0), ms);
    else if (this.ended) this.open();
    this.showState();
  }

  // Its terms.

  set(filter = this.asked) {
    const { policy, interval } = this.parts;
    this.asked = filter;
    const list = this.keys.join(',') || '*';
    this.send('set', this.side, policy.value, interval.value, list, filter);
  }

  /** Only what is new is watched, and only what is gone is not any more. */
  setKeys(text) {
    let keys;
    try {
      keys = symbolsOf(text, this.count);
    } catch (error) {
      this.onWrong(error.message, 'keys');
      return;
    }
    this.onWrong('');
    const before = this.keys;
    this.keys = keys;
    this.section.classList.toggle('watching', keys.length > 0);
    if (keys.length === 0 || before.length === 0) {
      this.set();
      return;
    }
    const gone = before.filter((key) => !keys.includes(key));
    const come = keys.filter((key) => !before.includes(key));
    if (come.length > 0) this.send('watch', this.side, come.join(','));
    if (gone.length > 0) this.send('unwatch', this.side, gone.join(','));
  }

  toggle(key) {
    const keys = this.keys.includes(key)
      ? this.keys.filter((known) => known !== key)
      : [...this.keys, key];
    this.parts.keys.value = keys.join(', ');
    this.setKeys(this.parts.keys.value);
  }

  // What the host says of this reader.

  onBegun({ offset, filter }) {
    this.host = offset;
    this.missed = 0;
    this.ended = null;
    const { isNew } = this;
    this.isNew = false;
    this.accepted = filter;
    // What was asked for meanwhile found no reader.
    if (isNew && filter !== this.asked) this.set();
    else this.asked = filter;
    if (filter === this.parts.filter.value.trim()) this.onWrong('');
    const dropped = this.parts.policy.value === 'volatile' ? ', dropped' : '';
    this.parts['rest-name'].textContent = `Merged, filtered, waiting${dropped}`;
    this.parts.notice.textContent = '\u00a0';
  }

  onMissed({ count, first, last, replaced }) {
    this.missed += count;
    const which = `${whole(count)} of numbers ${whole(first)} to ${whole(last)}`;
    const fate = replaced ? 'newer prices take their places' : 'nothing takes their place';
    this.parts.notice.textContent = `The host was told: missed ${which}; ${fate}.`;
  }

  onEnded({ reason, code }) {
    this.ended = { reason: reason.replace('_', ' '), code };
  }

  /** The host refused what it was asked for: its terms are as before. */
  onRefused({ text }) {
    this.asked = this.accepted;
    this.onWrong(text);
  }

  onWrong(text, part = 'filter') {
    this.parts.wrong.textContent = text;
    for (const name of ['filter', 'keys']) {
      this.parts[name].setAttribute('aria-invalid', String(text !== '' && name === part));
    }
  }

  /** With the engine's figures: how many there were on these terms, and what of them. */
  onOffset(offset) {
    this.plot.add(this.rate('frames') ?? 0, this.isStalled);
    if (this.host === null) return;
    const offered = Math.max(0, offset - this.host);
    const delivered = this.begun === this.host ? this.frames : 0;
    const rest = Math.max(0, offered - delivered - this.missed);
    this.ledger = { offered, delivered, missed: this.missed, rest };
    const total = Math.max(1, delivered + this.missed + rest);
    for (const [name, value] of Object.entries(this.ledger)) {
      this.parts[name].textContent = whole(value);
      const bar = this.parts[`stack-${name}`];
      if (bar) bar.style.width = `${(value / total) * 100}%`;
    }
  }

  // What is seen.

  rate(what) {
    const [first, last] = [this.rates[0], this.rates.at(-1)];
    if (!first || last.now - first.now < 200) return null;
    return ((last[what] - first[what]) / (last.now - first.now)) * 1000;
  }

  draw() {
    if (this.values) this.grid.draw(this.values, Date.now());
  }

  /** State and numbers; `other` is the reader to compare with. */
  show(other) {
    const { parts, values } = this;
    this.showState();
    if (!values) return;
    const [frames, bytes] = [this.rate('frames'), this.rate('bytes')];
    parts.frames.textContent = frames === null ? '–' : whole(frames);
    parts.bytes.textContent = bytes === null ? '–' : size(bytes);
    const now = Date.now();
    const known = [...values.steps.keys()].filter((at) => values.steps[at] > 0);
    const oldest = known.reduce((old, at) => Math.max(old, now - values.time[at]), 0);
    parts.oldest.textContent = known.length > 0 ? duration(oldest) : '–';
    if (!other) {
      parts.differ.textContent = `${whole(known.length)} of ${whole(this.count)}`;
    } else if (other.values) {
      const behind = known.filter((at) => other.values.time[at] - values.time[at] > BEHIND_MS);
      parts.differ.textContent = `${whole(behind.length)} of ${whole(known.length)}`;
      parts.differ.classList.toggle('bad', behind.length > 0);
    }
  }

  showState() {
    const left = Math.ceil((this.stallUntil - performance.now()) / 1000);
    const read = this.values ? 'live' : 'connecting';
    const state = this.ended ? 'ended' : left > 0 ? 'stalled' : read;
    const { reason, code } = this.ended ?? {};
    const texts = {
      ended: `closed: ${reason ?? 'gone'} (${code})`, stalled: `stalled, ${left} s left`,
    };
    const text = texts[state] ?? state;
    if (this.parts.state.textContent !== text) this.parts.state.textContent = text;
    this.section.dataset.state = state;
    this.section.classList.toggle('stalled', left > 0);
    const label = left > 0 ? 'Resume now' : `Stall for ${STALL_S} s`;
    if (this.parts.stall.textContent !== label) this.parts.stall.textContent = label;
  }
}
