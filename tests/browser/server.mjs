// The examples, and what stands before them, as child processes: started on free ports, ended by
// their own id. ROOMCAST_EXAMPLES names the folder that holds the built examples.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const examples =
  process.env.ROOMCAST_EXAMPLES ??
  path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'release/examples');

const READY_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;

/** Starts an example; resolves to `{ host, stop }` once it has said where it listens. */
export async function startExample(name, ...more) {
  const program = startProgram(path.join(examples, name), ['--port', '0', ...more]);
  const [host] = await program.says(/127\.0\.0\.1:\d+/);
  return { ...program, host };
}

/**
 * Starts a program. `says` resolves to the match of the next line like that, and ends the program
 * when there is none in time; `signal` sends one; `stop` ends it and resolves to its exit code.
 */
export function startProgram(file, args, env = {}) {
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const lines = [];
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  let failed;
  child.once('error', (error) => { failed = error; });
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    console.error(line);
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const stop = async () => {
    if (!failed && !hasEnded()) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await ended;
      clearTimeout(timer);
    }
    return child.exitCode;
  };
  const says = async (pattern) => {
    try {
      return await until(`${file} says ${pattern}`, () => {
        while (lines.length > 0) {
          const found = lines.shift().match(pattern);
          if (found) return found;
        }
        if (failed) throw failed;
        if (hasEnded()) throw new Error(`${file} ended with ${child.exitCode}`);
        return null;
      }, READY_MS_MAX);
    } catch (error) {
      await stop();
      throw error;
    }
  };
  return { says, stop, signal: (name) => child.kill(name) };
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
