/**
 * The stores that people use, as this machine has them: found on the PATH, started on a free port of loopback, in memory
 * alone, with one thread for requests. Nothing of the user's configuration is read.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as openSocket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TextLanguageName } from '../../load/text-pool.ts';
import type { Skipped } from '../../results/report.ts';
import { Child } from '../../servers/child.ts';
import type { Pinning } from '../../servers/pinning.ts';
import type { PeerName } from './peer-names.ts';

/** A store that is on this machine. */
export interface FoundPeer {
  readonly name: PeerName;
  readonly version: string;
}

/** How much it has to hold. */
export interface PeerNeeds {
  /** Further arguments, which overrule those that keep it in memory alone. */
  readonly args?: readonly string[];
  readonly keys: number;
  readonly valueBytes: number;
  readonly connections: number;
}

interface PeerKind {
  readonly program: string;
  /** Where Debian has it. */
  readonly source: string;
  readonly language: TextLanguageName;
  /** The version in what `--version` prints. */
  readonly version: RegExp;
  /** `folder` is an empty one of its own, and its working folder. */
  readonly args: (port: number, folder: string, needs: PeerNeeds) => string[];
}

const HOST = '127.0.0.1';

/** A store that does not accept connections for so long has failed. Unit: milliseconds. */
const START_TIMEOUT_MS = 10_000;

/** Ports are found free and may be taken until they are used: so often another one is tried. */
const PORT_ATTEMPTS = 3;

/** What an item takes in memcached beyond key and value, and what its sizes of slabs waste, generously. */
const ITEM_BYTES = 200;
const SLAB_WASTE = 1.5;
const CACHE_MIB_MIN = 1024;
const MIB = 1024 * 1024;

const redisArgs: PeerKind['args'] = (port, folder) => [
  ...['--port', String(port), '--bind', HOST, '--dir', folder, '--daemonize', 'no'],
  // In memory alone.
  ...['--save', '', '--appendonly', 'no', '--io-threads', '1'],
];

const kinds: Readonly<Record<PeerName, PeerKind>> = {
  redis: {
    program: 'redis-server',
    source: "Debian's package redis-server",
    language: 'resp',
    version: /\bv=(\S+)/,
    args: redisArgs,
  },
  valkey: {
    program: 'valkey-server',
    source: "Debian's package valkey-server, from Debian 13 on",
    language: 'resp',
    version: /\bv=(\S+)/,
    args: redisArgs,
  },
  memcached: {
    program: 'memcached',
    source: "Debian's package memcached",
    language: 'memcached',
    version: /(\d+\.\S+)/,
    args: (port, _folder, { keys, valueBytes, connections }) => {
      const mib = Math.ceil((keys * (valueBytes + ITEM_BYTES) * SLAB_WASTE) / MIB);
      return [
        ...['-l', HOST, '-p', String(port), '-U', '0', '-t', '1'],
        // Nothing may be evicted: a miss fails the run.
        ...['-m', String(Math.max(mib, CACHE_MIB_MIN)), '-c', String(connections + 100)],
        // By default, an item may have a MiB with all that belongs to it.
        ...(valueBytes > MIB / 2 ? ['-I', '4m'] : []),
        // As root it wants to be told who it shall be.
        ...(process.getuid?.() === 0 ? ['-u', userInfo().username] : []),
      ];
    },
  },
};

/** Which of these stores are here, and why the others are not. */
export async function findPeers(names: readonly PeerName[]): Promise<{
  readonly found: readonly FoundPeer[];
  readonly skipped: readonly Skipped[];
}> {
  const found: FoundPeer[] = [];
  const skipped: Skipped[] = [];
  for (const name of names) {
    const { program, source, version } = kinds[name];
    try {
      const { stdout } = await promisify(execFile)(program, ['--version']);
      found.push({ name, version: version.exec(stdout)?.[1] ?? 'unknown' });
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const reason = missing ? `${program} is not on the PATH; it is in ${source}` : String(error);
      skipped.push({ label: name, reason });
    }
  }
  return { found, skipped };
}

/** A store that runs. Disposing of it ends its process and removes its folder. */
export interface PeerServer extends AsyncDisposable {
  readonly address: string;
  readonly pid: number;
  readonly language: TextLanguageName;
  /** The end of what it has written on stderr. */
  readonly stderr: string;
}

export interface PeerOptions {
  readonly signal: AbortSignal;
  readonly pinning: Pinning;
  /** Where its folder is made. Default: where temporary files are. */
  readonly parent?: string;
}

/** Starts a store and waits until it accepts connections. Rejects with an `Error` when it does not. */
export async function startPeer(
  name: PeerName,
  needs: PeerNeeds,
  { signal, pinning, parent = tmpdir() }: PeerOptions,
): Promise<PeerServer> {
  const { program, language, args } = kinds[name];
  const folder = mkdtempSync(join(parent, `ringkv-bench-${name}-`));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const child = new Child(
      name,
      pinning.server([program, ...args(port, folder, needs), ...(needs.args ?? [])]),
      signal,
    );
    try {
      await accepting(port, child);
      return {
        address: `tcp://${HOST}:${port}`,
        pid: child.pid,
        language,
        get stderr() {
          return child.stderr;
        },
        async [Symbol.asyncDispose]() {
          await child[Symbol.asyncDispose]();
          remove();
        },
      };
    } catch (error) {
      await child[Symbol.asyncDispose]();
      if (attempt < PORT_ATTEMPTS && !signal.aborted) continue;
      remove();
      throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, HOST, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** Resolves when connections are accepted, and rejects when the child ends before or too much time goes by. */
async function accepting(port: number, child: Child): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    const accepted = await new Promise<boolean>((resolve) => {
      const socket = openSocket(port, HOST);
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    // Whoever took the port meanwhile accepts connections too: this one has ended then.
    if (child.ended) throw new Error(`it has ended: ${child.stderr}`);
    if (accepted) return;
    if (performance.now() - startMs > START_TIMEOUT_MS) {
      throw new Error(`it accepts no connection after ${START_TIMEOUT_MS / 1000} s: ${child.stderr}`);
    }
    await sleep(10);
  }
}
