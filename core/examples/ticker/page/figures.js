// The engine's figures, as the host publishes them twice a second, and how numbers are written.

export const whole = (n) => Math.round(n).toLocaleString('en');

export function size(bytes) {
  if (bytes < 1024) return `${whole(bytes)} B`;
  return bytes < 1 << 20 ? `${whole(bytes / 1024)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;
}

export function duration(ms) {
  if (ms < 1) return `${whole(ms * 1000)} µs`;
  return ms < 1000 ? `${whole(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * Each figure: its caption, what it says of a sample `s` and the changes a second `d` since the one
 * before, and what the engine's metric of it counts.
 */
const FIGURES = [
  ['published', 'Published', (s, d) => `${whole(d.published)}/s`,
    'Publications to the room of all tickers'],
  ['conflated', 'Conflated', (s, d) => `${whole(d.conflated)}/s`,
    'A newer one of the same key took their place within an interval; once for each group'],
  ['filtered', 'Filtered', (s, d) => `${whole(d.filtered)}/s`,
    'Not sent to a member, by its filter or its keys'],
  ['deliveries', 'Frames written', (s, d) => `${whole(d.deliveries)}/s`,
    'Frames written to sockets, for all connections'],
  ['writes', 'Frames a write', (s, d) => (d.deliveries / Math.max(d.writes, 1)).toFixed(0),
    'What batching gains'],
  ['lagged', 'Missed', (s) => whole(s.lagged),
    'Not sent to slow members, each told to the host'],
  ['replaced', 'of them replaced', (s) => whole(s.replaced),
    'A newer one of the same key was sent instead (policy latest)'],
  ['volatile_dropped', 'Volatile dropped', (s) => whole(s.volatile_dropped),
    'Not sent to volatile members because their sockets took nothing'],
  ['too_slow', 'Too slow', (s) => whole(s.too_slow), 'Connections given up (policy disconnect)'],
  ['refused', 'Refused', (s) => whole(s.refused),
    'Publications that the engine did not take, because it is behind'],
  ['interval_steps', 'Interval steps', (s) => `${s.interval_steps}`,
    'Steps by which intervals are widened now, because the machine is behind'],
  ['memory_bytes', 'Held in memory', (s) => size(s.memory_bytes),
    'Tapes, outboxes, inboxes and messages in the making'],
];

export class Figures {
  constructor(strip) {
    this.last = null;
    this.views = FIGURES.map(([key, caption, write, title]) => {
      const make = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
      const entry = Object.assign(make('div', ''), { title });
      const value = make('dd', '–');
      value.dataset.metric = key;
      entry.append(make('dt', caption), value);
      strip.append(entry);
      return { value, write };
    });
  }

  /** Another sample of the engine's. */
  add(sample, now) {
    const before = this.last ?? { sample, now };
    const seconds = Math.max((now - before.now) / 1000, 0.001);
    const rate = (key) => (sample[key] - before.sample[key]) / seconds;
    const rates = Object.fromEntries(Object.keys(sample).map((key) => [key, rate(key)]));
    this.last = { sample, now };
    for (const { value, write } of this.views) value.textContent = write(sample, rates);
  }

  /** A new connection: the host may be another one, which counts anew. */
  clear() {
    this.last = null;
  }
}
