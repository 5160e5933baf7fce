// The engine's figures, as the host publishes them twice a second: a number and its history.

const SAMPLES_MAX = 240;
/** Above the plot there is room for what its top stands for. */
const TOP_PX = 16;

const whole = (n) => Math.round(n).toLocaleString('en');

function duration(ns) {
  if (ns < 1e6) return `${whole(ns / 1e3)} µs`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(ns < 1e7 ? 1 : 0)} ms` : `${(ns / 1e9).toFixed(1)} s`;
}

function size(bytes) {
  if (bytes < 1024) return `${whole(bytes)} B`;
  return bytes < 1 << 20 ? `${whole(bytes / 1024)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;
}

const percent = (n) => `${n.toFixed(n > 0 && n < 10 ? 1 : 0)} %`;

// Durations differ by powers of ten, so theirs is a logarithmic height, from here up.
const LOG_FROM_NS = 10_000;
const log = (ns) => Math.log10(Math.max(ns, LOG_FROM_NS) / LOG_FROM_NS);

/**
 * Each plot: its caption, the series it draws, how it writes a figure of them; `least` is its
 * smallest top, `height` the height of a figure (itself unless said). All are told as they are now.
 */
const PLOTS = [
  {
    key: 'deliveries', caption: 'Deliveries/s', series: ['rate'], least: 20,
    write: whole, value: (s) => whole(s.rate),
    detail: (s) => `${whole(s.writes)} writes of ${s.fpw.toFixed(1)} frames`,
  },
  {
    key: 'latency', caption: 'Latency, p99', series: ['p50', 'p99'], least: 1e6,
    height: log, write: duration,
    value: (s) => duration(s.p99), second: (s) => `p50 ${duration(s.p50)}`,
    detail: () => 'from publish to flush',
  },
  {
    key: 'connections', caption: 'Connections', series: ['conns'], least: 4,
    write: whole, value: (s) => whole(s.conns),
    detail: (s) => `${whole(s.synth)} of them synthetic`,
  },
  {
    key: 'cpu', caption: 'CPU', series: ['cpu'], least: 10,
    write: percent, value: (s) => percent(s.cpu),
    detail: () => 'of one core, the whole process',
  },
  {
    key: 'memory', caption: 'Memory', series: ['mem'], least: 1 << 20,
    write: size, value: (s) => (s.mem > 0 ? size(s.mem) : '–'),
    detail: (s) => `${size(s.lag)} wait, ${whole(s.slow)} too slow so far`,
  },
  {
    key: 'round-trip', caption: 'Round trip', series: ['trip'], least: 1e6,
    height: log, write: duration,
    value: (s) => (s.trip === null ? '–' : duration(s.trip)),
    detail: () => 'this window to the engine and back',
  },
];

export class Plots {
  constructor(strip) {
    this.samples = [];
    this.trip = null;
    this.views = PLOTS.map((plot) => view(strip, plot));
    this.drawDue = false;
    new ResizeObserver(() => this.draw()).observe(strip);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  /** A sample; one that is known already (from the history) is left out. */
  add(sample) {
    const last = this.samples.at(-1);
    if (last && sample.seq <= last.seq) return;
    this.samples.push({ ...sample, trip: this.trip });
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
    this.drawSoon();
  }

  /** A new connection: the host may be another one, whose samples are counted anew. */
  clear() {
    this.samples = [];
  }

  drawSoon() {
    if (this.drawDue) return;
    this.drawDue = true;
    setTimeout(() => {
      this.drawDue = false;
      this.draw();
    }, 0);
  }

  draw() {
    const latest = this.samples.at(-1);
    if (!latest) return;
    const style = getComputedStyle(document.documentElement);
    const names = ['--accent', '--second', '--line', '--muted'];
    const colours = names.map((name) => style.getPropertyValue(name));
    for (const each of this.views) {
      const { plot } = each;
      each.value.textContent = plot.value(latest);
      if (plot.second) each.second.textContent = plot.second(latest);
      each.detail.textContent = plot.detail(latest);
      drawPlot(each.canvas, plot, this.samples, colours);
    }
  }
}

function view(strip, plot) {
  const make = (tag, className, text = '') =>
    Object.assign(document.createElement(tag), { className, textContent: text });
  const figure = make('figure', '');
  const line = make('p', 'value');
  const value = make('span', '', '–');
  value.dataset.metric = plot.key;
  const second = make('span', 'second');
  line.append(value);
  if (plot.second) line.append(second);
  const detail = make('p', 'detail');
  const canvas = make('canvas', '');
  canvas.dataset.plot = plot.key;
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `${plot.caption}, the last two minutes`);
  figure.append(make('figcaption', '', plot.caption), line, detail, canvas);
  strip.append(figure);
  return { plot, value, second, detail, canvas };
}

function drawPlot(canvas, plot, samples, [accent, secondary, grid, muted]) {
  const { series, least, height: tall = (n) => n, write } = plot;
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext('2d');
  pen.scale(scale, scale);
  const peak = Math.max(least, ...series.flatMap((key) => samples.map((s) => s[key] ?? 0)));
  const most = tall(peak);
  const x = (i) => width - ((samples.length - 1 - i) / (SAMPLES_MAX - 1)) * width;
  const y = (share) => height - 1 - share * (height - TOP_PX);
  drawScale(pen, width, y(1), `${write(peak)}${plot.height ? ', log' : ''}`, [grid, muted]);
  series.forEach((key, i) => {
    const colour = i < series.length - 1 ? secondary : accent;
    drawLine(pen, samples.map((s, at) => [x(at), y(tall(s[key] ?? 0) / most)]), colour, height);
  });
}

/** The top of the plot, and what it stands for. */
function drawScale(pen, width, top, text, [grid, muted]) {
  pen.strokeStyle = grid;
  pen.lineWidth = 1;
  pen.setLineDash([2, 4]);
  pen.beginPath();
  pen.moveTo(0, top);
  pen.lineTo(width, top);
  pen.stroke();
  pen.setLineDash([]);
  pen.fillStyle = muted;
  pen.font = '10px system-ui, sans-serif';
  pen.fillText(text, width < 150 ? 10 : 16, top - 3);
}

function drawLine(pen, points, colour, height) {
  const line = () => {
    pen.beginPath();
    points.forEach(([x, y]) => pen.lineTo(x, y));
  };
  line();
  pen.lineTo(points.at(-1)[0], height);
  pen.lineTo(points[0][0], height);
  pen.globalAlpha = 0.12;
  pen.fillStyle = colour;
  pen.fill();
  pen.globalAlpha = 1;
  line();
  pen.strokeStyle = colour;
  pen.lineWidth = 1.6;
  pen.lineJoin = 'round';
  pen.stroke();
}
