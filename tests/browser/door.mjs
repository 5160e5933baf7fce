// What stands around the `secure` example: a certificate, tokens, nginx with the example's file,
// and clients that come through one of the doors.

import { execFile } from 'node:child_process';
import { createHash, createHmac, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { userInfo } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import WebSocket from 'ws';
import { root, startProgram, until } from './server.mjs';

/** Makes `cert.pem` and `key.pem` for localhost in a folder, by openssl. */
export async function makeCertificate(folder) {
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
  await promisify(execFile)('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout', key, '-out', cert,
  ]);
  return { cert, key, pem: await readFile(cert) };
}

/** What Chromium knows a key by. */
export function fingerprint(pem) {
  const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('base64');
}

export const nowS = () => Math.floor(Date.now() / 1000);
const part = (json) => Buffer.from(JSON.stringify(json)).toString('base64url');

/** A token of these claims; `sign` makes its signature. */
export function token(header, claims, sign) {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${sign(text).toString('base64url')}`;
}

export const hs256 = (secret) => (text) => createHmac('sha256', secret).update(text).digest();

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const accepts = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
  socket.on('error', () => resolve(false));
});

/**
 * nginx with the example's file, as whoever runs the test. `login` is where tokens come from, and
 * `proxied` the port with PROXY headers.
 */
export async function startNginx({ folder, cert, key, unix, login, proxied }) {
  const [ends, passes] = [await freePort(), await freePort()];
  let text = await readFile(path.join(root, 'core/examples/secure/nginx.conf'), 'utf8');
  const replace = (old, now) => {
    if (text.split(old).length !== 2) throw new Error(`not just once in nginx.conf: ${old}`);
    text = text.replace(old, now);
  };
  replace('user www-data;', `user ${userInfo().username};`);
  const upstream = (name, server) => `upstream ${name} { server ${server}; }`;
  replace(upstream('board', 'unix:/run/board/http.sock'), upstream('board', unix));
  replace(upstream('login', 'unix:/run/board/http.sock'), upstream('login', login));
  replace('listen 127.0.0.1:443 ssl;', `listen 127.0.0.1:${ends} ssl;`);
  replace('/etc/board/cert.pem', cert);
  replace('/etc/board/key.pem', key);
  replace('listen 127.0.0.1:8443;', `listen 127.0.0.1:${passes};`);
  replace('proxy_pass 127.0.0.1:8444;', `proxy_pass ${proxied};`);
  const file = path.join(folder, 'nginx.conf');
  await writeFile(file, text);
  // Without -e, nginx opens the system's log before it reads the file.
  const args = ['-p', folder, '-c', file, '-e', 'stderr'];
  const { stop } = startProgram('/usr/sbin/nginx', args);
  try {
    await until('nginx listens', async () => (await accepts(ends)) && (await accepts(passes)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { ends, passes, stop };
}

/**
 * A client at a door. Resolves once the WebSocket is open, or to `{ status }` when it is refused.
 * `hears(kind, isIt)` resolves to what the next line of that kind tells; `closed` to the code.
 */
export async function connect(port, options) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}/ws`, options);
  const lines = [];
  let code;
  socket.on('message', (data) => lines.push(Object.entries(JSON.parse(data.toString()))[0]));
  socket.on('close', (number) => { code = number; });
  const status = await new Promise((resolve, reject) => {
    socket.on('open', () => resolve(101));
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      code = response.statusCode;
      resolve(code);
    });
    socket.on('error', reject);
  });
  return {
    status,
    say: (line) => socket.send(typeof line === 'string' ? line : JSON.stringify(line)),
    hears: (kind, isIt = () => true) => until(`a line ${kind}`, () => {
      const at = lines.findIndex(([is, told]) => is === kind && isIt(told));
      if (at >= 0) return [lines.splice(at, 1)[0][1]];
      if (code !== undefined) throw new Error(`closed with ${code} before a line ${kind}`);
      return null;
    }, 15_000).then(([told]) => told),
    heard: (kind) => lines.filter(([is]) => is === kind).map(([, told]) => told),
    closed: () => until('the connection ends', () => code, 15_000),
    isOpen: () => code === undefined,
    close: () => socket.close(1000),
    certificate: () => socket._socket.getPeerCertificate().fingerprint256,
  };
}
