/**
 * The file of a unix socket: it outlives a server that was killed, and then has to be replaced, but never under a server
 * that still answers on it.
 */
import { type BigIntStats, lstatSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { versions } from 'node:process';
import { clearTimeout, setTimeout } from 'node:timers';
import { addressError, codeOf, TransportError } from './errors.ts';
import type { Address } from './transport.ts';

type UnixAddress = Extract<Address, { kind: 'unix' }>;

/**
 * Makes the path free to listen on. Throws `EADDRINUSE` when a server answers there, `EBUSY` when another one is just making it free,
 * and `EEXIST` for what is no socket.
 */
export async function claimUnixPath(address: UnixAddress): Promise<void> {
  const { path } = address;
  try {
    // Node takes a missing folder for a missing permission, so it is looked for here.
    statSync(dirname(path));
    const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return;
    if (!stat.isSocket()) throw Object.assign(new Error(`${path} is no socket`), { code: 'EEXIST' });
    if (await answers(path)) throw inUse(path);
    removeStale(path, stat);
  } catch (error) {
    throw error instanceof TransportError ? error : addressError('listen on', address, error);
  }
}

function inUse(path: string): Error {
  return Object.assign(new Error(`a server answers on ${path}`), { code: 'EADDRINUSE' });
}

/**
 * Removes the file of a server that is gone. Others may do so at the same time, and the first of them listen there already: so who
 * removes has made a file beside it, as only one can, and removes nothing but what was looked at. Nothing is awaited meanwhile, so
 * hardly anybody ends in the middle and leaves that file; it is then for a person to say that he has.
 */
function removeStale(path: string, stale: BigIntStats): void {
  const mark = `${path}${MARK_SUFFIX}`;
  try {
    writeFileSync(mark, '', { flag: 'wx' });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const message = `another server is about to listen there; if there is none, remove ${mark}`;
    throw Object.assign(new Error(message), { code: 'EBUSY' });
  }
  try {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (found === undefined) return;
    if (!isSameFile(found, stale)) throw inUse(path);
    unlinkSync(path);
  } finally {
    rmSync(mark, { force: true });
  }
}

const MARK_SUFFIX = '.replacing';

/** A file may get the number of one that is gone, but not its time. */
function isSameFile(one: BigIntStats, other: BigIntStats): boolean {
  return one.dev === other.dev && one.ino === other.ino && one.mtimeNs === other.mtimeNs;
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
  const made = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return () => {
    try {
      if (made !== undefined && isSameFile(lstatSync(path, { bigint: true }), made)) unlinkSync(path);
    } catch {
      // The next server replaces a file that is left. Clients wait for their last replies, and the log for its end.
    }
  };
}

/** A socket that has a path, as it was bound, and is not connected. */
interface BoundSocket {
  readonly path: string;
  readonly isListening: boolean;
}

/** Those of this network namespace; none where the system does not tell. */
export async function boundUnixSockets(): Promise<BoundSocket[]> {
  const sockets = await readFile('/proc/net/unix', 'utf8').catch(() => '');
  // Number, references, protocol, flags, type, state, inode, path. Connections that were accepted have the path, too.
  const lines = sockets.matchAll(/^\S+ \S+ \S+ (\S+) \S+ 01 +\d+ (.+)$/gm);
  return Array.from(lines, ([, flags, path]) => ({ path: path!, isListening: flags === LISTENING_FLAGS }));
}

const LISTENING_FLAGS = '00010000';

/** Whether a server lives behind the socket's file. */
async function answers(path: string): Promise<boolean> {
  for (let attempt = 0; attempt < DYING_ATTEMPTS; attempt++) {
    // Looked for first: one that refuses and was not there then is not about to listen.
    const sockets = (await boundUnixSockets()).filter((socket) => socket.path === path);
    const state = await look(path);
    if (state === 'alive') return true;
    if (state === 'gone') return false;
    const mayLive = sockets.some(({ isListening }) => REFUSES_WHEN_FULL || !isListening);
    if (state === 'refused' && !mayLive) return false;
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
