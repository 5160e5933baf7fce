// The board example in headless Chromium: two pages on one board see each other.
// CHROMIUM names the browser, ROOMCAST_EXAMPLES the folder of the built examples. With
// ROOMCAST_SHOTS set, a picture of each page is kept in that folder.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startExample, until } from './server.mjs';

const WAIT = { timeout: 60_000 };
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
let board;
let browser;
let first;
let second;
const complaints = [];

before(async () => {
  board = await startExample('board');
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
  });
  first = await openPage();
  second = await openPage();
});

after(async () => {
  await keepPictures();
  await browser?.close();
  await board?.stop();
});

async function keepPictures() {
  const folder = process.env.ROOMCAST_SHOTS;
  if (!folder || !second) return;
  await first.screenshot({ path: path.join(folder, 'board-first.png') });
  await second.screenshot({ path: path.join(folder, 'board-second.png') });
  await second.setViewportSize({ width: 390, height: 844 });
  await second.bringToFront();
  await until('the narrow page is drawn', () => second.evaluate(() => innerWidth === 390));
  await second.screenshot({ path: path.join(folder, 'board-narrow.png') });
}

/** A page in a context of its own, as another person's browser would be, connected. */
async function openPage() {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
  await page.goto(`http://${board.host}/`);
  await page.waitForFunction(() => window.roomcastBoard?.connected && window.roomcastBoard.me);
  return page;
}

const me = (page) => page.evaluate(() => String(window.roomcastBoard.me));

/** What a page knows of a peer: its position, or nothing. */
const peer = (page, id) =>
  page.evaluate((id) => {
    const known = window.roomcastBoard.peers[id];
    return known && { x: known.x, y: known.y, name: known.name };
  }, id);

/** Where a page draws a peer's cursor. */
const cursor = async (page, id) => page.locator(`[data-peer="${id}"]`).first().boundingBox();

async function moveTo(page, x, y) {
  await page.bringToFront();
  await page.mouse.move(x, y, { steps: 8 });
}

/** The connection figure of the metrics strip. */
const connections = (page) =>
  page.$eval('[data-testid=metrics] [data-metric=connections]', (figure) =>
    Number(figure.textContent.replace(/[^\d]/g, '') || NaN));

test('both pages are on the same board and have different ids', WAIT, async () => {
  const [a, b] = await Promise.all([me(first), me(second)]);
  assert.notEqual(a, b);
  const rooms = await Promise.all(
    [first, second].map((page) => page.evaluate(() => window.roomcastBoard.room)),
  );
  assert.equal(rooms[0], rooms[1]);
});

test('a pointer that moves in one page moves as a cursor in the other', WAIT, async () => {
  const id = await me(first);
  await moveTo(first, 500, 350);
  await until('the second page knows the first one’s cursor', () => peer(second, id));
  await until('the cursor is drawn', () => cursor(second, id));
  const before = await cursor(second, id);
  await moveTo(first, 700, 470);
  const moved = await until('the cursor has moved right and down', async () => {
    const now = await cursor(second, id);
    return now && now.x - before.x > 100 && now.y - before.y > 60 && now;
  });
  assert.ok(moved.x > before.x);
  const back = await me(second);
  await moveTo(second, 400, 400);
  await until('and the other way round', () => peer(first, back));
});

test('who is here lists both people', WAIT, async () => {
  for (const page of [first, second]) {
    const entries = page.locator('[data-testid=here] li');
    await until('two entries', async () => (await entries.count()) >= 2);
  }
});

/** A place on the surface with room for a note, and for dragging it right and down. */
const emptyPlace = (page) =>
  page.evaluate(() => {
    const surface = document.querySelector('[data-testid=surface]').getBoundingClientRect();
    const bare = (x, y) => !document.elementFromPoint(x, y)?.closest('[data-note]');
    const around = [-100, 0, 100].flatMap((x) => [-70, 0, 70].map((y) => [x, y]));
    const free = (x, y) => around.every(([byX, byY]) => bare(x + byX, y + byY));
    for (let y = surface.top + 120; y < surface.bottom - 220; y += 20) {
      for (let x = surface.left + 120; x < surface.right - 320; x += 20) {
        if (free(x, y)) return { x, y };
      }
    }
    return null;
  });

const noteIds = (page) =>
  page.$$eval('[data-note]', (notes) => notes.map((note) => note.dataset.note));

let note;

test('a double click makes a note, and both pages read what is typed', WAIT, async () => {
  const known = new Set(await noteIds(first));
  const place = await emptyPlace(first);
  await first.bringToFront();
  await first.mouse.dblclick(place.x, place.y);
  note = await until('a new note', async () =>
    (await noteIds(first)).find((id) => !known.has(id)));
  await until('the other page has it', async () => (await noteIds(second)).includes(note));
  await first.locator(`[data-note="${note}"] textarea`).focus();
  await first.keyboard.type('Grüße ✓');
  const text = second.locator(`[data-note="${note}"] textarea`);
  await until('its text', async () => (await text.inputValue()) === 'Grüße ✓');
  await first.keyboard.press('Escape');
});

test('a note that is dragged in one page moves in the other', WAIT, async () => {
  const own = first.locator(`[data-note="${note}"]`);
  const other = second.locator(`[data-note="${note}"]`);
  const [from, seen] = [await own.boundingBox(), await other.boundingBox()];
  await first.bringToFront();
  await first.mouse.move(from.x + from.width / 2, from.y + 12);
  await first.mouse.down();
  await first.mouse.move(from.x + from.width / 2 + 140, from.y + 92, { steps: 12 });
  await first.mouse.up();
  await until('the note follows in the other page', async () => {
    const now = await other.boundingBox();
    return now.x - seen.x > 100 && now.y - seen.y > 60;
  });
});

/** What must be seen live: each has a figure and a plot. */
const FIGURES = ['deliveries', 'latency', 'connections', 'cpu', 'memory'];

/** Each figure's text and a print of its plot's pixels, `null` while the plot has one colour. */
const plots = (page) =>
  page.evaluate((keys) => keys.map((key) => {
    const plot = document.querySelector(`[data-testid=metrics] canvas[data-plot=${key}]`);
    const { data } = plot.getContext('2d').getImageData(0, 0, plot.width, plot.height);
    const pixels = new Uint32Array(data.buffer);
    const print = pixels.reduce((sum, pixel) => (Math.imul(sum, 31) + pixel) | 0, 7);
    const text = document.querySelector(`[data-metric=${key}]`).textContent;
    return { key, text, print: new Set(pixels).size > 2 ? print : null };
  }), FIGURES);

/** Those of which this is not so. */
const without = (all, isSo) => all.filter((each, i) => !isSo(each, i)).map(({ key }) => key);

test('each plot is drawn, and moves with the next samples', WAIT, async () => {
  await first.bringToFront();
  const before = await until('drawn plots with figures', async () => {
    const now = await plots(first);
    return without(now, ({ print, text }) => print !== null && /\d/.test(text)).length === 0 && now;
  });
  for (let step = 0; step < 2; step += 1) {
    let still;
    const seen = step === 0 ? before : await plots(first);
    await until('every plot moves', async () => {
      still = without(await plots(first), ({ print }, i) => print !== seen[i].print);
      return still.length === 0;
    }).catch((error) => assert.fail(`${still} stand still: ${error.message}`));
  }
});

/** The figures as Prometheus reads them, from where the page links them. */
const scrape = (page) =>
  page.evaluate(async () => {
    const answer = await fetch(document.querySelector('a[href$="/metrics"]').href);
    const text = await answer.text();
    const figure = (name) => Number(text.match(new RegExp(`^${name} (.*)$`, 'm'))?.[1]);
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      connections: figure('roomcast_connections'),
      deliveries: figure('roomcast_deliveries_total'),
    };
  });

test('the page links figures for Prometheus, and they are live', WAIT, async () => {
  const before = await scrape(first);
  assert.equal(before.status, 200);
  assert.match(before.type, /^text\/plain/);
  assert.ok(before.connections >= 2, `${before.connections} connections`);
  await until('more deliveries', async () =>
    (await scrape(first)).deliveries > before.deliveries);
});

test('the button adds users who are really connected', WAIT, async () => {
  const before = await until('a figure', () => connections(first));
  const idle = await plots(first);
  await first.locator('[data-testid=add-users]').first().click();
  await until(
    'a hundred connections more',
    async () => (await connections(first)) >= before + 100,
    30_000,
  );
  let unmoved;
  await until('every figure tells of them', async () => {
    unmoved = without(await plots(first), ({ text }, i) => text !== idle[i].text);
    return unmoved.length === 0;
  }).catch((error) => assert.fail(`${unmoved} do not change: ${error.message}`));
  const id = await me(first);
  for (const x of [420, 660]) {
    await moveTo(first, x, 360);
    await until(`the cursor is drawn near ${x}`, async () => {
      const now = await cursor(second, id);
      return now && Math.abs(now.x - x) < 60;
    });
  }
});

test('a page that leaves is taken off the other one', WAIT, async () => {
  const third = await openPage();
  const id = await me(third);
  await moveTo(third, 450, 300);
  await until('it is seen', () => peer(first, id));
  await third.context().close();
  await first.bringToFront();
  await until('it is gone', async () => !(await peer(first, id)));
});

test('no page complained', WAIT, () => assert.deepEqual(complaints, []));
