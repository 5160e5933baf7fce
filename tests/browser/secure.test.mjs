// The `secure` example on the open internet: behind nginx in both of its ways, and without. The
// clients of most tests are npm's ws, and come from an address that nobody trusts; the last ones
// are pages in headless Chromium. CHROMIUM names the browser, ROOMCAST_EXAMPLES the folder of the
// built examples. With ROOMCAST_SHOTS set, a picture of the page is kept in that folder.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import {
  copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile,
} from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { chromium } from 'playwright-core';
import { WebSocketServer } from 'ws';
import {
  connect, fingerprint, hs256, makeCertificate, nowS, startNginx, token,
} from './door.mjs';
import { examples, startProgram, until } from './server.mjs';

const WAIT = { timeout: 60_000 };
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const SECRET = randomBytes(32).toString('hex');
/** Where the clients come from. The proxies come from 127.0.0.1, which is trusted. */
const STRANGER = '127.0.0.9';
const FORGED = '203.0.113.7';
const LOBBY = 'board:lobby';
const ALL = 'join publish presence';
/** How long tokens of the login live: as short as can be, so that the page needs one after the
 * other. The engine adds five seconds, since clocks may differ. */
const TOKEN_S = 1;
const NOTICE_MS = 3_000;

let folder;
let certificate;
/** All that was served, the newest last. */
const certificates = [];
let board;
let socketFile;
let nginx;
let browser;
/** The port of each way in. */
const doors = {};

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'roomcast-secure-'));
  certificate = await makeCertificate(folder);
  certificates.push(certificate.pem);
  socketFile = path.join(folder, 'http.sock');
  await writeKeySet('first');
  board = startProgram(path.join(examples, 'secure'), [
    '--port', '0', '--proxied-port', '0', '--unix', socketFile,
    '--cert', certificate.cert, '--key', certificate.key,
    '--jwks', path.join(folder, 'keys.json'), '--token-s', String(TOKEN_S),
  ], { BOARD_SECRET: SECRET, ROOMCAST_TOKEN_NOTICE_MS: String(NOTICE_MS) });
  const [, direct] = await board.says(/open https:\/\/(.*)\//);
  const [, proxied] = await board.says(/^TLS behind a PROXY header: (.*)/);
  const [, unix] = await board.says(/^HTTP from a proxy: (.*)/);
  const [, login] = await board.says(/^the stand-in for a login: (.*)/);
  nginx = await startNginx({ folder, ...certificate, unix, login, proxied });
  doors['nginx that ends TLS'] = nginx.ends;
  doors['nginx that passes TLS through'] = nginx.passes;
  doors['the TLS listener'] = portOf(direct);
  doors.proxied = portOf(proxied);
});

after(async () => {
  await browser?.close();
  await nginx?.stop();
  await board?.stop();
  await rm(folder, { recursive: true, force: true });
});

const DOORS = ['nginx that ends TLS', 'nginx that passes TLS through', 'the TLS listener'];
const portOf = (host) => Number(host.split(':')[1]);

/** A token that the example's secret signed. */
const tokenOf = (user, more = {}) => {
  const claims = {
    sub: user, aud: 'board', iat: nowS(), exp: nowS() + 300, rooms: { [LOBBY]: ALL }, ...more,
  };
  return token({ alg: 'HS256' }, claims, hs256(SECRET));
};

/** A client that has shown a token in its first message, from where nobody is trusted. */
async function enter(door, user, more) {
  const client = await come(door);
  assert.equal(client.status, 101);
  client.say(`token ${tokenOf(user, more)}`);
  client.me = await client.hears('welcome');
  return client;
}

const come = (door, options = {}) =>
  connect(doors[door], { ca: certificates, localAddress: STRANGER, ...options });

async function enterLobby(door, user, more) {
  const client = await enter(door, user, more);
  client.say({ join: LOBBY });
  await client.hears('presence', ({ came }) => came.some((one) => one.user === user));
  return client;
}

/** A key pair for ES256 whose public half is in the file of keys, under this id. */
async function writeKeySet(kid) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' }];
  await writeFile(path.join(folder, 'keys.json'), JSON.stringify({ keys }));
  const claims = { sub: 'eve', aud: 'board', iat: nowS(), exp: nowS() + 300, rooms: {} };
  keyed = token({ alg: 'ES256', kid }, claims, (text) =>
    sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }));
}
/** A token by the newest key of the set. */
let keyed;

for (const door of DOORS) {
  test(`${door}: the address is the client's own, whatever it says`, WAIT, async () => {
    const headers = {
      'X-Forwarded-For': FORGED, 'X-Real-IP': FORGED, Forwarded: `for=${FORGED}`,
      Authorization: `Bearer ${tokenOf('ada')}`,
    };
    const forger = await come(door, { headers });
    assert.deepEqual(await forger.hears('welcome'), { user: 'ada', ip: STRANGER });
    forger.close();
    const other = await come(door, { headers, localAddress: '127.0.0.10' });
    assert.equal((await other.hears('welcome')).ip, '127.0.0.10');
    other.close();
  });

  test(`${door}: a token allows one room and not another`, WAIT, async () => {
    const ada = await enterLobby(door, 'ada', { rooms: { [LOBBY]: ALL, 'board:news': 'join' } });
    const bob = await enterLobby(door, 'bob');
    ada.say({ post: { room: LOBBY, text: 'Grüße ✓' } });
    const note = { room: LOBBY, from: 'ada', text: 'Grüße ✓' };
    for (const one of [ada, bob]) assert.deepEqual(await one.hears('note'), note);

    bob.say({ join: 'board:news' });
    assert.deepEqual(await bob.hears('denied'), { verb: 'join', room: 'board:news' });
    ada.say({ join: 'board:news' });
    await ada.hears('presence', ({ room }) => room === 'board:news');
    for (const one of [ada, bob]) {
      one.say({ post: { room: 'board:news', text: 'not for me to say' } });
      assert.deepEqual(await one.hears('denied'), { verb: 'publish', room: 'board:news' });
      one.say({ who: 'board:news' });
      assert.deepEqual(await one.hears('denied'), { verb: 'presence', room: 'board:news' });
    }
    // What was said last is heard last: nothing of that came before it.
    ada.say({ post: { room: LOBBY, text: 'the end' } });
    await bob.hears('note', ({ text }) => text === 'the end');
    for (const one of [ada, bob]) {
      assert.deepEqual(one.heard('note').filter(({ room }) => room !== LOBBY), []);
      one.close();
    }
    await Promise.all([ada.closed(), bob.closed()]);
  });

  test(`${door}: those who are here are told who came and went`, WAIT, async () => {
    const ada = await enterLobby(door, 'ada');
    const bob = await enterLobby(door, 'bob');
    const came = await ada.hears('presence', (notice) =>
      notice.came.some(({ user }) => user === 'bob'));
    assert.equal(came.room, LOBBY);
    bob.say({ who: LOBBY });
    const { present } = await bob.hears('here');
    const { id } = present.find(({ user }) => user === 'bob');
    assert.ok(present.some(({ user }) => user === 'ada'));
    bob.close();
    const gone = await ada.hears('presence', (notice) =>
      notice.gone.some((one) => one.id === id && one.user === 'bob'));
    assert.equal(gone.members, came.members - 1);
    ada.close();
    await ada.closed();
  });
}

test('a PROXY header is believed from the proxy, and from nobody else', WAIT, async () => {
  const port = doors.proxied;
  const behind = (localAddress) => {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress });
    socket.write(`PROXY TCP4 ${FORGED} 192.0.2.1 4711 443\r\n`);
    return tls.connect({ socket, ca: certificates, servername: 'localhost' });
  };
  const headers = { Authorization: `Bearer ${tokenOf('ada')}` };
  const proxy = await come('proxied', { headers, createConnection: () => behind('127.0.0.1') });
  assert.equal((await proxy.hears('welcome')).ip, FORGED);
  proxy.close();
  const stranger = come('proxied', { headers, createConnection: () => behind(STRANGER) });
  await assert.rejects(stranger, 'it is dropped');
  // Without the header nobody can say who that is.
  await assert.rejects(come('proxied', { headers, localAddress: '127.0.0.1' }));
});

test('the unix socket is for its user and group alone', async () => {
  const { mode } = await stat(socketFile);
  assert.equal((mode & 0o777).toString(8), '660');
});

test('nobody comes in with a token that is not valid', WAIT, async () => {
  const claims = { sub: 'eve', aud: 'board', exp: nowS() + 300, rooms: { '*': ALL } };
  const good = tokenOf('eve');
  const wrong = {
    'of another secret': token({ alg: 'HS256' }, claims, hs256('another secret of the same size')),
    'without a signature': token({ alg: 'none' }, claims, () => Buffer.alloc(0)),
    'meant for others': tokenOf('eve', { aud: 'shop' }),
    'of yesterday': tokenOf('eve', { exp: nowS() - 86_400 }),
    'of tomorrow': tokenOf('eve', { nbf: nowS() + 86_400 }),
    'cut short': good.slice(0, -2),
    'changed within': good.replace('.', '.e'),
    'no token': 'open sesame',
  };
  for (const [what, text] of Object.entries(wrong)) {
    const cookie = `board_token=${text}`;
    for (const headers of [{ Authorization: `Bearer ${text}` }, { Cookie: cookie }]) {
      const { status } = await come('the TLS listener', { headers });
      assert.equal(status, 401, what);
    }
    const client = await come('the TLS listener');
    client.say(`token ${text}`);
    assert.equal(await client.closed(), 4401, what);
  }
  const silent = await come('the TLS listener');
  silent.say({ join: LOBBY });
  assert.equal(await silent.closed(), 4401, 'the first message is no token');
});

test('a token that expires is told, renewed in place, or the end', WAIT, async () => {
  const soon = () => ({ exp: nowS() + 1 });
  const ada = await enterLobby('nginx that ends TLS', 'ada', soon());
  const bob = await enterLobby('the TLS listener', 'bob', soon());
  const eve = await enterLobby('the TLS listener', 'eve', soon());
  for (const one of [ada, bob, eve]) assert.equal(await one.hears('expiring'), true);
  // Which also takes a right away.
  ada.say(`token ${tokenOf('ada', { rooms: { [LOBBY]: 'join publish' } })}`);
  eve.say(`token ${tokenOf('ada')}`);
  // The first token of ada is no younger than theirs.
  assert.equal(await bob.closed(), 4003);
  assert.equal(await eve.closed(), 4003, 'the token of another user renews nothing');
  ada.say({ post: { room: LOBBY, text: 'I am still here' } });
  await ada.hears('note', ({ text }) => text === 'I am still here');
  ada.say({ who: LOBBY });
  assert.equal((await ada.hears('denied')).verb, 'presence');
  ada.close();
});

test('who logs out is out on all devices, with all tokens of before', WAIT, async () => {
  const old = tokenOf('ada');
  const phone = await enterLobby('nginx that ends TLS', 'ada');
  const desk = await enterLobby('the TLS listener', 'ada');
  const bob = await enterLobby('the TLS listener', 'bob');
  desk.say('"logout"');
  assert.deepEqual(await Promise.all([phone.closed(), desk.closed()]), [4004, 4004]);
  await bob.hears('presence', ({ gone }) => gone.some(({ user }) => user === 'ada'));
  const back = await come('the TLS listener', { headers: { Authorization: `Bearer ${old}` } });
  assert.equal(back.status, 401);
  const again = await until('a token of after that', async () => {
    const headers = { Authorization: `Bearer ${tokenOf('ada')}` };
    const client = await come('the TLS listener', { headers });
    return client.status === 101 && client;
  });
  again.close();
  assert.ok(bob.isOpen());
  bob.close();
});

test('SIGHUP serves another certificate and other keys, and drops nobody', WAIT, async () => {
  const bearer = (text) => ({ headers: { Authorization: `Bearer ${text}` } });
  const first = await come('the TLS listener', bearer(keyed));
  assert.equal((await first.hears('welcome')).user, 'eve');
  const passed = await enterLobby('nginx that passes TLS through', 'bob');
  const spare = path.join(folder, 'spare');
  await mkdir(spare);
  const next = await makeCertificate(spare);
  const old = keyed;
  await copyFile(next.key, certificate.key);

  // The key is not that of the certificate.
  board.signal('SIGHUP');
  await board.says(/all stays as it was: the private key is not that of/);
  const kept = await come('the TLS listener', bearer(old));
  assert.equal(kept.certificate(), first.certificate());

  await copyFile(next.cert, certificate.cert);
  await writeKeySet('second');
  board.signal('SIGHUP');
  await board.says(/^certificate and keys are read anew/);
  certificates.push(next.pem);
  const second = await come('the TLS listener', bearer(keyed));
  assert.equal((await second.hears('welcome')).user, 'eve');
  assert.notEqual(second.certificate(), first.certificate());
  assert.equal((await come('the TLS listener', bearer(old))).status, 401);
  for (const one of [first, passed, kept, second]) {
    one.say({ who: LOBBY });
    await one.hears(one === passed ? 'here' : 'denied');
    one.close();
  }
});

/** A page in a context of its own, as another person's browser would be. */
async function openPage(url, cookie) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...FLAGS, `--ignore-certificate-errors-spki-list=${certificates.map(fingerprint)}`],
  });
  const context = await browser.newContext({ viewport: { width: 900, height: 640 } });
  if (cookie) {
    const { sameSite } = cookie;
    const kept = { domain: 'localhost', path: '/', secure: true, httpOnly: true, sameSite };
    await context.addCookies([{ name: 'board_token', value: cookie.value, ...kept }]);
  }
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (line) => line.type() === 'error' && page.complaints.push(line.text()));
  await page.goto(url);
  return page;
}

async function signIn(user) {
  const page = await openPage(`https://localhost:${nginx.ends}/`);
  await page.fill('#user', user);
  await page.keyboard.press('Enter');
  const state = page.getByTestId('state');
  await until(`${user} is in`, async () => (await state.textContent()) === 'connected');
  return page;
}

const textOf = (page, part) => page.getByTestId(part).textContent();
const here = (page) => page.getByTestId('here').locator('li').allTextContents();
const notes = (page) => page.getByTestId('notes').locator('li').allTextContents();

test('two people on the page, through nginx, for longer than their tokens', WAIT, async () => {
  const [ada, bob] = [await signIn('ada'), await signIn('bob')];
  for (const page of [ada, bob]) {
    await until('both are here', async () => String(await here(page)) === 'ada,bob');
    assert.equal(await textOf(page, 'ip'), '127.0.0.1');
  }
  const markup = '<img src=x onerror=alert(1)> Grüße';
  await ada.fill('[name=text]', markup);
  await ada.keyboard.press('Enter');
  await until('bob reads it', async () => (await notes(bob)).includes(`ada ${markup}`));

  await bob.getByTestId('room').selectOption('board:cellar');
  await until('it is denied', async () => /you may not join/.test(await textOf(bob, 'denied')));
  await until('he is gone from the lobby', async () => String(await here(ada)) === 'ada');
  await bob.getByTestId('room').selectOption(LOBBY);
  await until('and back', async () => String(await here(ada)) === 'ada,bob');

  for (const page of [ada, bob]) {
    await until('its token is renewed', async () => Number(await textOf(page, 'renewed')) >= 2,
      30_000);
    assert.equal(await textOf(page, 'state'), 'connected');
  }
  await ada.fill('[name=text]', 'still here');
  await ada.keyboard.press('Enter');
  await until('bob reads it', async () => (await notes(bob)).includes('ada still here'));
  if (process.env.ROOMCAST_SHOTS) {
    await ada.screenshot({ path: path.join(process.env.ROOMCAST_SHOTS, 'secure.png') });
  }

  await bob.getByTestId('logout').click();
  await until('bob is out', async () => (await textOf(bob, 'state')) === 'you are signed out');
  await until('ada sees it', async () => String(await here(ada)) === 'ada');
  for (const page of [ada, bob]) {
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  }
});

/** What comes of a WebSocket that the page opens: its first message, or the code of its end. */
const attempt = (page, url) => page.evaluate((url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.addEventListener('message', ({ data }) => { resolve(data); socket.close(); });
  socket.addEventListener('close', ({ code }) => resolve(code));
}), url);

/** The site of somebody else, who writes down which cookies come with WebSockets. */
async function startForeignSite() {
  const [cert, key] = [certificate.cert, certificate.key];
  const pair = { cert: await readFile(cert), key: await readFile(key) };
  const server = https.createServer(pair, (request, response) => {
    response.setHeader('Content-Type', 'text/html');
    response.end('<!doctype html><link rel=icon href="data:,"><title>win a phone</title>');
  });
  const cookies = [];
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, { headers }) => {
    cookies.push(headers.cookie ?? '');
    socket.send('"noted"');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { port: server.address().port, cookies, stop };
}

test('a page of another origin gets nowhere with the cookie of the user', WAIT, async () => {
  const site = await startForeignSite();
  try {
    for (const door of DOORS) {
      const url = `wss://localhost:${doors[door]}/ws`;
      const value = tokenOf('ada');
      const home = `https://localhost:${doors[door]}/`;
      const own = await openPage(home, { value, sameSite: 'Strict' });
      assert.equal(JSON.parse(await attempt(own, url)).welcome.user, 'ada');
      await own.context().close();

      // Another port is the same site for cookies: even strict ones come along. To another site
      // this browser sends none, but others do.
      for (const [host, sameSite] of [['localhost', 'Strict'], ['127.0.0.1', 'None']]) {
        const page = await openPage(`https://${host}:${site.port}/`, { value, sameSite });
        await attempt(page, `wss://localhost:${site.port}/`);
        const sent = site.cookies.pop();
        if (host === 'localhost') assert.equal(sent, `board_token=${value}`);
        assert.equal(await attempt(page, url), 1006);
        const told = await until('the browser says why', () => page.complaints.at(-1));
        assert.match(told, /Unexpected response code: 403/);
        await page.context().close();
      }
    }
  } finally {
    await site.stop();
  }
});

test('it stops in order: a close frame for everybody, and exit code 0', WAIT, async () => {
  const direct = await enterLobby('the TLS listener', 'ada');
  const proxied = await enterLobby('nginx that ends TLS', 'ada');
  const code = board.stop();
  assert.equal(await direct.closed(), 1001);
  assert.equal(await proxied.closed(), 1001);
  assert.equal(await code, 0);
  await assert.rejects(stat(socketFile), 'the socket file is gone');
});
