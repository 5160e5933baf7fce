// The others: their cursors on the surface, and the list of who is here.

import { Glide } from './glide.js';

const SYNTHETIC_LISTED_MAX = 40;

/** Places on a board are 0 to PLACE_MAX both ways, whatever size a window has. */
export const PLACE_MAX = 10_000;

export class People {
  /** `size` is the surface's, in pixels; `onName(text)` is told of a new name for oneself. */
  constructor({ layer, list, count, size, onName }) {
    Object.assign(this, { layer, list, count, size, onName });
    this.me = null;
    this.known = new Map();
    /** What other code may read: id to { x, y, name }. */
    this.peers = {};
    this.listDue = false;
  }

  /** Somebody is here; `x` is null while the place is not known. */
  add({ id, hue, synthetic, x, y, name }) {
    const old = this.known.get(id);
    if (old) this.drop(id, old);
    const person = { hue, synthetic, name };
    this.known.set(id, person);
    if (id !== this.me) {
      this.peers[id] = { x, y, name };
      if (x !== null) this.move(id, x, y);
    }
    this.listSoon();
  }

  move(id, x, y) {
    const person = this.known.get(id);
    if (!person || id === this.me) return;
    Object.assign(this.peers[id], { x, y });
    person.cursor ??= this.cursor(id, person);
    person.glide.to(x, y);
  }

  rename(id, name) {
    const person = this.known.get(id);
    if (!person) return;
    person.name = name;
    if (this.peers[id]) this.peers[id].name = name;
    const label = person.cursor?.querySelector('em');
    if (label) label.textContent = name;
    this.listSoon();
  }

  remove(id) {
    const person = this.known.get(id);
    if (person) this.drop(id, person);
    this.listSoon();
  }

  clear() {
    for (const [id, person] of this.known) this.drop(id, person);
    this.listSoon();
  }

  redraw() {
    for (const { glide } of this.known.values()) glide?.redraw();
  }

  drop(id, person) {
    person.glide?.end();
    person.cursor?.remove();
    this.known.delete(id);
    delete this.peers[id];
  }

  cursor(id, person) {
    const cursor = document.createElement('div');
    cursor.className = person.synthetic ? 'cursor synthetic' : 'cursor';
    cursor.dataset.peer = id;
    cursor.style.setProperty('--hue', person.hue);
    cursor.append(document.createElement('i'));
    if (!person.synthetic) {
      const label = document.createElement('span');
      const text = document.createElement('em');
      text.textContent = person.name;
      label.append(text);
      cursor.append(label);
    }
    this.layer.append(cursor);
    person.glide = new Glide((x, y) => {
      const left = (x / PLACE_MAX) * this.size.width;
      const top = (y / PLACE_MAX) * this.size.height;
      cursor.style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`;
    });
    return cursor;
  }

  /** Many may come at once: the list is made once for all of them. */
  listSoon() {
    if (this.listDue) return;
    this.listDue = true;
    setTimeout(() => {
      this.listDue = false;
      this.drawList();
    }, 60);
  }

  drawList() {
    this.count.textContent = this.known.size.toLocaleString('en');
    if (this.list.contains(document.activeElement)) return;
    const rank = ([id, person]) => (id === this.me ? 0 : person.synthetic ? 2 : 1);
    const order = [...this.known].sort((a, b) => rank(a) - rank(b));
    const others = order.filter(([, person]) => !person.synthetic);
    const synthetic = order.filter(([, person]) => person.synthetic);
    const entries = [...others, ...synthetic.slice(0, SYNTHETIC_LISTED_MAX)];
    const items = entries.map(([id, person]) => this.entry(id, person));
    const more = synthetic.length - SYNTHETIC_LISTED_MAX;
    if (more > 0) items.push(item('more', `and ${more.toLocaleString('en')} synthetic users more`));
    this.list.replaceChildren(...items);
  }

  entry(id, person) {
    const mine = id === this.me;
    const entry = item(person.synthetic ? 'synthetic' : '', mine ? '' : person.name);
    entry.style.setProperty('--hue', person.hue);
    if (mine) entry.append(this.ownName(person), Object.assign(
      document.createElement('small'), { textContent: 'you' },
    ));
    return entry;
  }

  ownName(person) {
    const input = document.createElement('input');
    Object.assign(input, { value: person.name, maxLength: 24, spellcheck: false });
    input.setAttribute('aria-label', 'Your name');
    input.onkeydown = ({ key }) => key === 'Enter' && input.blur();
    input.onblur = () => {
      const name = input.value.trim();
      if (name && name !== person.name) this.onName(name);
      this.listSoon();
    };
    return input;
  }
}

function item(className, text) {
  return Object.assign(document.createElement('li'), { className, textContent: text });
}
