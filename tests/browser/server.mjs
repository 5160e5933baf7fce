// The examples as child processes: started on a free port, ended by their own id.
// ROOMCAST_EXAMPLES names the folder that holds the built examples.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const examples =
  process.env.ROOMCAST_EXAMPLES ??
  path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'release/examples');

const READY_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;

/** Starts an example; resolves to `{ host, stop }` once it has said where it listens. */
export async function startExample(name, ...more) {
  const child = spawn(path.join(examples, name), ['--port', '0', ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(timer);
  };
  const host = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name} did not start`)), READY_MS_MAX);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = line.match(/127\.0\.0\.1:\d+/);
      if (!found) return;
      clearTimeout(timer);
      resolve(found[0]);
    });
  }).catch(async (error) => {
    await stop();
    throw error;
  });
  return { host, stop };
}

/** Asks `probe` until it answers truthily; its answer, or an error that names `what`. */
export async function until(what, probe, ms = 10_000) {
  const deadline = Date.now() + ms;
  let last;
  do {
    last = await probe();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 25));
  } while (Date.now() < deadline);
  throw new Error(`not within ${ms} ms: ${what}; last answer: ${JSON.stringify(last)}`);
}
