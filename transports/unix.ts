/**
 * The file of a unix socket: it outlives a server that was killed, and then has to be replaced, but never under a server
 * that still answers on it.
 */
import { lstatSync, statSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { clearTimeout, setTimeout } from 'node:timers';
import { addressError, codeOf, TransportError } from './errors.ts';
import type { Address } from './transport.ts';

type UnixAddress = Extract<Address, { kind: 'unix' }>;

/** Makes the path free to listen on. Throws `EADDRINUSE` when a server answers there, `EEXIST` for what is no socket. */
export async function claimUnixPath(address: UnixAddress): Promise<void> {
  const { path } = address;
  try {
    // Node takes a missing folder for a missing permission, so it is looked for here.
    statSync(dirname(path));
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (!stat.isSocket()) throw Object.assign(new Error(`${path} is no socket`), { code: 'EEXIST' });
    if (await answers(path)) throw Object.assign(new Error(`a server answers on ${path}`), { code: 'EADDRINUSE' });
    removeUnixPath(path);
  } catch (error) {
    throw error instanceof TransportError ? error : addressError('listen on', address, error);
  }
}

/** Removes the file; that it is gone already is fine. */
export function removeUnixPath(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** Whether a server lives behind the socket's file. */
async function answers(path: string): Promise<boolean> {
  for (let attempt = 0; attempt < DYING_ATTEMPTS; attempt++) {
    const state = await look(path);
    if (state !== 'dying') return state === 'alive';
  }
  return true;
}

/**
 * The kernel takes a ring down a moment after the process that was killed: until then connections are accepted, and ended at
 * once. Who keeps one for so long is alive. Unit: milliseconds.
 */
const ALIVE_MS = 100;
const DYING_ATTEMPTS = 50;

function look(path: string): Promise<'alive' | 'dying' | 'dead'> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let timer: NodeJS.Timeout | undefined;
    const settle = (state: 'alive' | 'dying' | 'dead'): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(state);
    };
    socket.resume();
    socket.once('connect', () => {
      timer = setTimeout(settle, ALIVE_MS, 'alive');
    });
    socket.once('end', () => settle('dying'));
    socket.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') settle('dead');
      else if (code === 'ECONNRESET') settle('dying');
      // Its queue of connections is full: it lives, and is busy.
      else if (code === 'EAGAIN') settle('alive');
      else {
        clearTimeout(timer);
        reject(error);
      }
    });
  });
}
