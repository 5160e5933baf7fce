// The ticker example in headless Chromium: a fast and a slow reader side by side, the slow one
// stalled by the browser itself. CHROMIUM names the browser, ROOMCAST_EXAMPLES the folder of
// the built examples. With ROOMCAST_SHOTS set, pictures of the page are kept in that folder.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startExample, until } from './server.mjs';

const WAIT = { timeout: 90_000 };
/** A machine that is busy with other things still gets there. */
const MS_MAX = 30_000;
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
let ticker;
let browser;
let page;
const complaints = [];

before(async () => {
  ticker = await startExample('ticker');
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
  });
  page = await openPage();
});

after(async () => {
  await browser?.close();
  await ticker?.stop();
});

async function openPage() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 920 } });
  const opened = await context.newPage();
  opened.on('pageerror', (error) => complaints.push(String(error)));
  opened.on('console', (line) => line.type() === 'error' && complaints.push(line.text()));
  await opened.goto(`http://${ticker.host}/?stall=60&interval=250`);
  return opened;
}

async function keepPicture(name) {
  const folder = process.env.ROOMCAST_SHOTS;
  if (folder) await page.screenshot({ path: path.join(folder, `ticker-${name}.png`) });
}

/** What the page knows of a reader: price, steps and time of each ticker, and its ledger. */
const reader = (side) => page.evaluate((side) => window.roomcastTicker.reader(side), side);
const engine = () => page.evaluate(() => window.roomcastTicker.known.engine);
const part = (side, name) => page.locator(`[data-testid=${side}] [data-part=${name}]`);
const figure = (text) => Number(text.replace(/[^\d]/g, '') || NaN);
const shown = async (side, name) => figure(await part(side, name).textContent());
const soon = (what, probe) => until(what, probe, MS_MAX);

/** The tickers of which a reader has a price, by their places. */
const known = ({ steps }) => [...steps.keys()].filter((at) => steps[at] > 0);

async function setText(side, name, text) {
  await part(side, name).fill(text);
  await part(side, name).press('Enter');
}

/** Whether a reader has gone on, from what it had, on all tickers. */
async function goesOn(side) {
  const was = await reader(side);
  return soon(`the ${side} reader goes on`, async () =>
    (await reader(side)).steps.every((step, at) => step > was.steps[at]));
}

/** Stops the market, so that what the readers have can be compared to the last digit. */
async function paused(act) {
  await page.getByTestId('pause').click();
  let last;
  await soon('the market stands still', async () => {
    const { samples, figures } = await page.evaluate(() => window.roomcastTicker.known);
    if (samples === last?.samples) return false;
    const isStill = figures.rate === 0 && figures.offset === last?.figures.offset;
    last = { samples, figures };
    return isStill;
  });
  try {
    await act();
  } finally {
    await page.getByTestId('pause').click();
  }
}

async function haveTheSame() {
  const [fast, slow] = [await reader('fast'), await reader('slow')];
  const isSame = (at) => fast.steps[at] === slow.steps[at] && fast.price[at] === slow.price[at];
  return [...fast.steps.keys()].filter((at) => !isSame(at)).length === 0;
}

test('prices move on both sides', WAIT, async () => {
  for (const side of ['fast', 'slow']) {
    await soon(`the ${side} reader has all tickers`, async () => {
      const now = await reader(side);
      return now && known(now).length === 1000;
    });
    await goesOn(side);
    await soon('its frames are counted', async () => (await shown(side, 'frames')) > 0);
  }
  assert.equal((await reader('slow')).by, 'stream');
  await keepPicture('live');
});

test('the grid is drawn in more than one colour', WAIT, async () => {
  for (const side of ['fast', 'slow']) {
    await soon(`the ${side} grid has colours`, () => part(side, 'grid').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size > 4;
    }));
  }
});

test('a stalled reader stands still, the other goes on, what is missed is told', WAIT, async () => {
  await part('slow', 'stall').click();
  let last;
  const still = await soon('what the worker had under way is in', async () => {
    const now = await reader('slow');
    if (!now.isStalled || now.reports < last?.reports + 3) return false;
    const isStill = now.frames === last?.frames;
    last = now;
    return isStill && now;
  });
  await goesOn('fast');
  await soon('the slow reader has missed something', async () => (await reader('slow')).missed > 0);
  // The one read that was under way when it stalled may come to its end at any time.
  const more = (await reader('slow')).frames - still.frames;
  assert.ok(more <= 1, `${more} were read meanwhile`);
  assert.match(await part('slow', 'notice').textContent(), /missed [\d,]+ of .* newer prices/);
  await soon('its panel counts them', async () => (await shown('slow', 'missed')) > 0);
  assert.match(await part('slow', 'state').textContent(), /^stalled/);
  await keepPicture('stalled');
});

test('when it reads again it soon has every current price', WAIT, async () => {
  const fast = await reader('fast');
  await part('slow', 'stall').click();
  await soon('it is as current as the fast one was', async () =>
    (await reader('slow')).steps.every((step, at) => step >= fast.steps[at]));
  const { replaced, lagged } = await engine();
  assert.ok(replaced > 0 && replaced <= lagged, 'newer ones took their places');
  await soon('none is behind', async () =>
    /^0 of/.test(await part('slow', 'differ').textContent()));
});

test('both have the same prices to the last digit when the market stands still', WAIT, async () => {
  await paused(() => soon('they are the same', haveTheSame));
});

test('after a stall across which the market was stopped they are the same too', WAIT, async () => {
  await part('slow', 'stall').click();
  const { missed } = await reader('slow');
  await soon('it misses something', async () => (await reader('slow')).missed > missed);
  await paused(async () => {
    await part('slow', 'stall').click();
    await soon('they are the same', haveTheSame);
  });
});

test('a wrong filter shows what is wrong with it, and changes nothing', WAIT, async () => {
  await setText('slow', 'filter', 'tags.price > 100');
  await soon('its error', async () =>
    /at byte 0 of the filter: expected/.test(await part('slow', 'wrong').textContent()));
  assert.equal(await part('slow', 'filter').getAttribute('aria-invalid'), 'true');
  await goesOn('slow');
});

test('a filter narrows, by all of its parts', WAIT, async () => {
  await setText('slow', 'filter', 'tags.sector == "tech" && double(tags.price) > 100');
  const narrow = await soon('the reader begins anew, with fewer', async () => {
    const now = await reader('slow');
    const { length } = known(now);
    return now.accepted.includes('tech') && length > 0 && length < 1000 && now;
  });
  for (const at of known(narrow)) {
    assert.ok(at < 100, `T${at + 1} is no tech`);
    assert.ok(narrow.price[at] > 100, `T${at + 1} is at ${narrow.price[at]}`);
  }
  assert.equal(await part('slow', 'wrong').textContent(), '');
  await soon('the engine counts it', async () => (await engine()).filtered > 0);
  assert.equal(known(await reader('fast')).length, 1000, 'the other reader has all as before');
  await keepPicture('filtered');
  await setText('slow', 'filter', '');
  await soon('all again', async () => known(await reader('slow')).length === 1000);
});

test('a watch-list narrows, and is changed while it lasts', WAIT, async () => {
  const has = (what, ...wanted) => soon(what, async () => {
    const now = known(await reader('slow'));
    return now.length === wanted.length && wanted.every((number) => now.includes(number - 1));
  });
  await setText('slow', 'keys', 'T0001, T0500-T0502');
  await has('those four', 1, 500, 501, 502);
  await setText('slow', 'keys', 'T0002, T0500');
  await has('one came, three went', 2, 500);
  await setText('slow', 'keys', 'T99999');
  await soon('what is no symbol', async () =>
    /is no symbol/.test(await part('slow', 'wrong').textContent()));
  await setText('slow', 'keys', '');
  await soon('all again', async () => known(await reader('slow')).length === 1000);
});

test('under the policy disconnect a stall ends the stream, which comes back', WAIT, async () => {
  await part('slow', 'policy').selectOption('disconnect');
  await part('slow', 'stall').click();
  await soon('the host closes it', async () =>
    /^closed: too slow \(4008\)/.test(await part('slow', 'state').textContent()));
  await goesOn('fast');
  await part('slow', 'stall').click();
  await soon('it is back', async () => {
    const now = await reader('slow');
    return now && known(now).length === 1000;
  });
  await goesOn('slow');
});

test('a reader in the host can be stalled as well', WAIT, async () => {
  await part('slow', 'policy').selectOption('skip');
  await part('slow', 'by').selectOption('relay');
  await soon('it reads', async () => {
    const now = await reader('slow');
    return now?.by === 'relay' && known(now).length === 1000;
  });
  await part('slow', 'stall').click();
  await soon('it misses something, for good', async () =>
    /nothing takes their place/.test(await part('slow', 'notice').textContent()));
  await part('slow', 'stall').click();
  await goesOn('slow');
});

test('the slider sets the rate, and a tracked update is reported', WAIT, async () => {
  await page.getByTestId('rate').fill('50');
  await soon('the host has it', () =>
    page.evaluate(() => window.roomcastTicker.known.rate === 50));
  assert.match(await page.getByTestId('rate-text').textContent(), /50 updates\/s, 50,000 in all/);
  await soon('a report', () => page.evaluate(() => window.roomcastTicker.known.tracked));
});

test('no price came behind a newer one, and the page had nothing to complain about', async () => {
  for (const side of ['fast', 'slow']) assert.equal((await reader(side)).disordered, 0, side);
  assert.deepEqual(complaints, []);
});
