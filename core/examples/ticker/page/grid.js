// The grid: a cell for each ticker, coloured by how old its price is, shaded by how it has moved.

export const COLUMNS = 50;
const AGES = 40;
const SHADES = 9;
/** The age that is as old as colours tell. */
export const AGE_MS_MAX = 10_000;
const AGE_MS_KNEE = 250;
/** The change, up or down, that is as strong as shades tell. */
const CHANGE_MAX = 0.06;

/** Where an age is on the scale: 0 for now, 1 for the oldest. */
export const ageShare = (ms) =>
  Math.min(1, Math.log1p(Math.max(0, ms) / AGE_MS_KNEE) / Math.log1p(AGE_MS_MAX / AGE_MS_KNEE));

/** From blue over grey to orange, which eyes that see red and green alike tell apart too. */
function colour(share, shade, isDark) {
  const isFresh = share < 0.5;
  const far = Math.abs(share - 0.5) * 2;
  const chroma = 0.02 + (isFresh ? 0.15 : 0.14) * far ** 0.8;
  const middle = isDark ? 0.56 : 0.66;
  const light = middle + (isFresh ? (isDark ? 0.02 : -0.08) : 0.06) * far + shade * 0.14;
  return `oklch(${light.toFixed(3)} ${chroma.toFixed(3)} ${isFresh ? 268 : 58})`;
}

function table(isDark) {
  const shades = [...Array(SHADES).keys()].map((i) => (i / (SHADES - 1)) * 2 - 1);
  return [...Array(AGES).keys()].map((i) =>
    shades.map((shade) => colour(i / (AGES - 1), shade, isDark)));
}

/** The colours of a scale from new to old, for a legend. */
export const scale = (isDark) =>
  [0, 0.25, 0.5, 0.75, 1].map((share) => colour(share, 0, isDark)).join(', ');

export class Grid {
  /** `onPoint(number | null)` and `onPick(number)` are told of the pointer. */
  constructor(canvas, { onPoint, onPick }) {
    this.canvas = canvas;
    this.pen = canvas.getContext('2d');
    this.first = [];
    this.pointed = null;
    this.size = [0, 0];
    new ResizeObserver(() => this.measure()).observe(canvas);
    this.dark = matchMedia('(prefers-color-scheme: dark)');
    this.restyle();
    this.dark.addEventListener('change', () => this.restyle());
    const at = (event) => this.numberAt(event);
    canvas.addEventListener('pointermove', (event) => onPoint(at(event), event));
    canvas.addEventListener('pointerleave', () => onPoint(null));
    canvas.addEventListener('click', (event) => at(event) !== null && onPick(at(event)));
  }

  restyle() {
    const style = getComputedStyle(document.documentElement);
    this.colours = table(this.dark.matches);
    this.empty = style.getPropertyValue('--empty');
    this.ink = style.getPropertyValue('--ink');
  }

  numberAt({ offsetX, offsetY }) {
    const column = Math.floor((offsetX / this.canvas.clientWidth) * COLUMNS);
    const row = Math.floor((offsetY / this.canvas.clientHeight) * this.rows);
    const number = row * COLUMNS + column;
    return column >= 0 && column < COLUMNS && number >= 0 && number < this.count ? number : null;
  }

  /** Draws what a reader has, at this time. */
  draw({ price, steps, time }, now) {
    this.count = price.length;
    this.rows = Math.ceil(this.count / COLUMNS);
    this.fit();
    const { pen, canvas, rows } = this;
    const [width, height] = [canvas.width / COLUMNS, canvas.height / rows];
    const gap = Math.max(1, Math.round(width / 9));
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < this.count; i += 1) {
      const [column, row] = [i % COLUMNS, Math.floor(i / COLUMNS)];
      const [x, y] = [Math.round(column * width), Math.round(row * height)];
      pen.fillStyle = steps[i] === 0 ? this.empty : this.colourOf(i, price[i], now - time[i]);
      const [right, bottom] = [Math.round(x + width), Math.round(y + height)];
      pen.fillRect(x, y, right - x - gap, bottom - y - gap);
    }
    if (this.pointed !== null) this.drawPointed(width, height, gap);
  }

  colourOf(i, price, age) {
    this.first[i] ??= price;
    const change = Math.max(-1, Math.min(1, (price / this.first[i] - 1) / CHANGE_MAX));
    const shades = this.colours[Math.round(ageShare(age) * (AGES - 1))];
    return shades[Math.round(((change + 1) / 2) * (SHADES - 1))];
  }

  drawPointed(width, height, gap) {
    const { pen, pointed } = this;
    const [x, y] = [(pointed % COLUMNS) * width, Math.floor(pointed / COLUMNS) * height];
    pen.strokeStyle = this.ink;
    pen.lineWidth = 2 * (window.devicePixelRatio || 1);
    pen.strokeRect(x - gap / 2, y - gap / 2, width, height);
  }

  /** As many pixels as the screen has for it. */
  measure() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.size = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
  }

  fit() {
    const [width, height] = this.size;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }
}
