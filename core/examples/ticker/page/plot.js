// Frames a second over the last minute, with the times of stalls shaded.

const SAMPLES_MAX = 120;
const LEAST = 100;
/** Above the plot there is room for what its top stands for. */
const TOP_PX = 14;

export class Plot {
  constructor(canvas) {
    this.canvas = canvas;
    this.samples = [];
  }

  add(rate, isStalled) {
    this.samples.push({ rate, isStalled });
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
    this.draw();
  }

  draw() {
    const { canvas, samples } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const pen = canvas.getContext('2d');
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const names = ['--accent', '--second', '--line', '--muted'];
    const [accent, second, line, muted] = names.map((name) => style.getPropertyValue(name));
    const most = Math.max(LEAST, ...samples.map(({ rate }) => rate));
    const step = width / (SAMPLES_MAX - 1);
    const x = (i) => width - (samples.length - 1 - i) * step;
    const y = (rate) => height - 1 - (rate / most) * (height - TOP_PX);
    pen.fillStyle = second;
    pen.globalAlpha = 0.16;
    samples.forEach(({ isStalled }, i) => isStalled && pen.fillRect(x(i) - step, 0, step, height));
    pen.globalAlpha = 1;
    drawTop(pen, width, y(most), `${Math.round(most).toLocaleString('en')} frames/s`, line, muted);
    drawLine(pen, samples.map(({ rate }, i) => [x(i), y(rate)]), accent, height);
  }
}

function drawTop(pen, width, top, text, line, muted) {
  pen.strokeStyle = line;
  pen.setLineDash([2, 4]);
  pen.beginPath();
  pen.moveTo(0, top);
  pen.lineTo(width, top);
  pen.stroke();
  pen.setLineDash([]);
  pen.fillStyle = muted;
  pen.font = '10px system-ui, sans-serif';
  pen.fillText(text, 0, top - 4);
}

function drawLine(pen, points, colour, height) {
  if (points.length === 0) return;
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
