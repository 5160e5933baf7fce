// Notes: made by a double click, dragged by anybody, edited by a click.

import { Glide } from './glide.js';
import { PLACE_MAX } from './people.js';
import { paced } from './wire.js';

const DRAG_PX_MIN = 4;
const SEND_MS = 30;
const TEXT_MS = 150;
const STEP = 150;
const CHARS_MAX = 200;
// A line break inside a note, since a line of the protocol holds the whole text.
const BREAK = '\u2028';

const clamp = (n) => Math.round(Math.min(Math.max(n, 0), PLACE_MAX));

export class Notes {
  /** `size` is the surface's; `send(...words)` goes to the host. */
  constructor({ layer, surface, size, send }) {
    Object.assign(this, { layer, surface, size, send });
    this.notes = new Map();
    this.top = 1;
    surface.addEventListener('dblclick', (event) => {
      if (event.target.closest('.note')) return;
      const box = surface.getBoundingClientRect();
      const { width, height } = this.room(this.noteSize());
      const half = this.noteSize();
      this.send('n', clamp(((event.clientX - box.left - half.width / 2) / width) * PLACE_MAX),
        clamp(((event.clientY - box.top - half.height / 2) / height) * PLACE_MAX));
    });
  }

  noteSize() {
    const style = getComputedStyle(document.documentElement);
    const px = (name) => parseFloat(style.getPropertyValue(name));
    return { width: px('--note-w'), height: px('--note-h') };
  }

  /** How far a note can go, so that its place keeps it on the surface whole. */
  room(note) {
    return {
      width: Math.max(this.size.width - note.width, 1),
      height: Math.max(this.size.height - note.height, 1),
    };
  }

  /** A note as the host has it; one that is known already is brought up to date. */
  put({ id, x, y, hue, text }) {
    const note = this.notes.get(id) ?? this.make(id, hue);
    note.seen = true;
    if (!note.held) note.glide.to(x, y);
    this.setText(id, text);
    return note;
  }

  move(id, x, y) {
    const note = this.notes.get(id);
    if (!note || note.held) return;
    this.raise(note);
    note.glide.to(x, y);
  }

  setText(id, text) {
    const note = this.notes.get(id);
    if (!note) return;
    note.latest = text;
    // Who edits it sees the others' text afterwards.
    if (note.text.readOnly) note.text.value = text.replaceAll(BREAK, '\n');
  }

  remove(id) {
    const note = this.notes.get(id);
    if (!note) return;
    note.glide.end();
    note.element.remove();
    this.notes.delete(id);
  }

  /** Between these two everything that exists is put; what is not goes. */
  beginAll() {
    for (const note of this.notes.values()) note.seen = false;
  }

  endAll() {
    for (const [id, note] of this.notes) if (!note.seen) this.remove(id);
  }

  redraw() {
    for (const { glide } of this.notes.values()) glide.redraw();
  }

  edit(note) {
    note.text.readOnly = false;
    note.element.classList.add('editing');
    note.text.focus({ preventScroll: true });
    note.text.setSelectionRange(note.text.value.length, note.text.value.length);
  }

  make(id, hue) {
    const element = document.createElement('article');
    element.className = 'note';
    element.dataset.note = id;
    element.tabIndex = 0;
    element.setAttribute('aria-label', 'Note');
    element.style.setProperty('--hue', hue);
    const text = document.createElement('textarea');
    Object.assign(text, { maxLength: CHARS_MAX, readOnly: true, tabIndex: -1, spellcheck: false });
    text.placeholder = 'Write something';
    const erase = document.createElement('button');
    Object.assign(erase, { type: 'button', className: 'erase', textContent: '×' });
    erase.setAttribute('aria-label', 'Remove this note');
    erase.onclick = () => this.send('x', id);
    element.append(text, erase);
    const glide = new Glide((x, y) => {
      const { width, height } = this.room({
        width: element.offsetWidth, height: element.offsetHeight,
      });
      const [left, top] = [(x / PLACE_MAX) * width, (y / PLACE_MAX) * height];
      element.style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`;
    });
    const note = { id, element, text, glide, held: null, seen: true };
    this.layer.append(element);
    this.notes.set(id, note);
    this.raise(note);
    this.listen(note);
    return note;
  }

  raise(note) {
    note.element.style.zIndex = String(++this.top);
  }

  listen(note) {
    const { element, text } = note;
    const sendPlace = paced(SEND_MS, (x, y) => this.send('d', note.id, x, y));
    const sendText = paced(TEXT_MS, () => {
      note.latest = text.value.replaceAll('\n', BREAK);
      this.send('t', note.id, note.latest);
    });
    const place = (x, y) => {
      note.glide.jump(clamp(x), clamp(y));
      sendPlace(note.glide.x, note.glide.y);
    };
    text.oninput = () => sendText();
    text.onblur = () => {
      sendText.flush();
      text.readOnly = true;
      this.setText(note.id, note.latest);
      element.classList.remove('editing');
    };
    element.onpointerdown = (event) => {
      const busy = event.target.closest('.erase') || event.target === text;
      if (event.button === 0 && !busy) this.hold(note, event);
    };
    element.onpointermove = (event) => this.drag(note, event, place);
    element.onpointerup = () => {
      const held = note.held;
      note.held = null;
      element.classList.remove('held');
      sendPlace.flush();
      if (held && !held.moved) this.edit(note);
    };
    element.onpointercancel = () => {
      note.held = null;
      element.classList.remove('held');
    };
    element.onkeydown = (event) => this.key(note, event, place);
  }

  hold(note, event) {
    const { element, glide } = note;
    element.setPointerCapture(event.pointerId);
    element.classList.add('held');
    this.raise(note);
    note.held = { atX: event.clientX, atY: event.clientY, x: glide.x, y: glide.y, moved: false };
  }

  drag({ held, element }, event, place) {
    if (!held) return;
    const [byX, byY] = [event.clientX - held.atX, event.clientY - held.atY];
    held.moved ||= Math.hypot(byX, byY) >= DRAG_PX_MIN;
    if (!held.moved) return;
    const { width, height } = this.room({
      width: element.offsetWidth, height: element.offsetHeight,
    });
    place(held.x + (byX / width) * PLACE_MAX, held.y + (byY / height) * PLACE_MAX);
  }

  key(note, event, place) {
    const { element, text, glide } = note;
    if (event.target === text) {
      if (event.key === 'Escape') element.focus();
      return;
    }
    if (event.target !== element) return;
    const ways = {
      ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
    };
    const way = ways[event.key];
    if (way) place(glide.x + way[0], glide.y + way[1]);
    else if (event.key === 'Enter') this.edit(note);
    else if (event.key === 'Delete') this.send('x', note.id);
    else return;
    event.preventDefault();
  }
}
