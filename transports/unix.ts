/**
 * The file of a unix socket: it outlives a server that was killed, and then has to be replaced, but never under a server
 * that still answers on it.
 */
import { lstatSync, statSync, unlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { versions } from 'node:process';
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
    removeFile(path);
  } catch (error) {
    throw error instanceof TransportError ? error : addressError('listen on', address, error);
  }
}

/**
 * The file that a server has just made by listening at the path. What is returned removes it, unless it is another server's by then
 * or can't be removed. It is to be called before the socket is closed: so long no other file gets its number, and nobody finds one
 * that refuses.
 *
 * `node:net`, Bun (1.4) and Deno (2.9) remove by themselves, when they close a socket, what lies at its path, and can't be
 * told not to: so only a ring never takes the file of another server.
 */
export function ownUnixFile(path: string): () => void {
  const made = lstatSync(path, { throwIfNoEntry: false });
  return () => {
    try {
      const found = lstatSync(path);
      if (found.ino === made?.ino && found.dev === made.dev) unlinkSync(path);
    } catch {
      // The next server replaces a file that is left. Clients wait for their last replies, and the log for its end.
    }
  };
}

/** Removes the file; that it is gone already is fine. */
function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** The paths that sockets listen at, as they were bound, in this network namespace; none where the system does not tell. */
export async function listenedUnixPaths(): Promise<string[]> {
  const sockets = await readFile('/proc/net/unix', 'utf8').catch(() => '');
  // Number, references, protocol, flags, type, state, inode, path. Connections that were accepted have the path, too.
  return Array.from(sockets.matchAll(/^\S+ \S+ \S+ 00010000 \S+ \S+ +\d+ (.+)$/gm), ([, path]) => path!);
}

/** Whether a server lives behind the socket's file. */
async function answers(path: string): Promise<boolean> {
  for (let attempt = 0; attempt < DYING_ATTEMPTS; attempt++) {
    const state = await look(path);
    if (state === 'refused') return REFUSES_WHEN_FULL && (await listenedUnixPaths()).includes(path);
    if (state !== 'dying') return state === 'alive';
  }
  return true;
}

/**
 * Bun tells of a full queue of connections as of a refusal. The kernel's list has to do there, which also has who listens at the same
 * path in another container on this network.
 */
const REFUSES_WHEN_FULL = versions.bun !== undefined;

/**
 * The kernel takes a ring down a moment after the process that was killed: until then connections are accepted, and ended at
 * once. Who keeps one for so long is alive. Unit: milliseconds.
 */
const ALIVE_MS = 100;
const DYING_ATTEMPTS = 50;

type State = 'alive' | 'dying' | 'refused' | 'gone';

function look(path: string): Promise<State> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let timer: NodeJS.Timeout | undefined;
    const settle = (state: State): void => {
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
      if (code === 'ECONNREFUSED') settle('refused');
      else if (code === 'ENOENT') settle('gone');
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
