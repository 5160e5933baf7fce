// Motion between two reports: what moves elsewhere arrives a few times a second and is drawn on
// every frame, from where it is to where it was last seen, in the time that reports take to come.

const MS_MIN = 24;
const MS_MAX = 380;
const moving = new Set();
let frame = 0;

export class Glide {
  /** `draw(x, y)` puts the thing there. */
  constructor(draw) {
    this.draw = draw;
    this.x = this.y = null;
    this.ms = 60;
    this.start = -Infinity;
  }

  /** It is to be at (x, y) soon; at once the first time, and while nobody looks. */
  to(x, y, now = performance.now()) {
    const since = now - this.start;
    if (since < 1_000) this.ms += (Math.min(Math.max(since, MS_MIN), MS_MAX) - this.ms) * 0.3;
    [this.toX, this.toY, this.start] = [x, y, now];
    if (this.x === null || document.hidden) return this.jump(x, y);
    [this.fromX, this.fromY] = [this.x, this.y];
    moving.add(this);
    frame ||= requestAnimationFrame(step);
  }

  jump(x, y) {
    moving.delete(this);
    [this.x, this.y] = [x, y];
    this.draw(x, y);
  }

  /** Draws it where it is, after the surface changed its size. */
  redraw() {
    if (this.x !== null) this.draw(this.x, this.y);
  }

  end() {
    moving.delete(this);
  }
}

function step(now) {
  frame = 0;
  for (const glide of moving) {
    const share = Math.max((now - glide.start) / glide.ms, 0);
    if (share >= 1) {
      glide.jump(glide.toX, glide.toY);
    } else {
      glide.x = glide.fromX + (glide.toX - glide.fromX) * share;
      glide.y = glide.fromY + (glide.toY - glide.fromY) * share;
      glide.draw(glide.x, glide.y);
    }
  }
  if (moving.size > 0) frame = requestAnimationFrame(step);
}
