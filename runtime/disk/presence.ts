/**
 * A unix socket that a process listens on for as long as it lives. It tells one that is gone from one that is in another container,
 * whose process id says nothing here: the kernel answers for it, also while the process is busy or stopped.
 */
import { Buffer } from 'node:buffer';
import { unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { basename } from 'node:path';
import { codeOf } from '../../transports/errors.ts';
import { boundUnixSockets } from '../../transports/unix.ts';

/** Longest path of a socket that every system accepts in full: that of macOS has 104 bytes, the last one zero. */
const PATH_BYTES_MAX = 103;

/**
 * Failures to connect that take somebody who listens: a full queue of connections, and one whose end comes so fast that Bun reports a
 * reset instead of the connection.
 */
const PRESENT_CODES: ReadonlySet<string> = new Set(['EAGAIN', 'ECONNRESET']);

export interface Presence {
  /** Removes the socket. */
  end(): Promise<void>;
}

/** Listens at a path that nobody has used before; undefined where there can be no socket, by the file system or the path's length. */
export async function showPresence(path: string): Promise<Presence | undefined> {
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return undefined;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.destroy();
  });
  const isListening = await new Promise<boolean>((resolve) => {
    // Later ones are of those who look, and of no interest here.
    server.on('error', () => resolve(false));
    server.listen(path, () => resolve(true));
  });
  if (!isListening) return undefined;
  server.unref();
  return {
    async end() {
      await new Promise<unknown>((resolve) => server.close(resolve));
      // Some runtimes have done so.
      await unlink(path).catch(() => {});
    },
  };
}

/** Whether who has listened at a path still lives; undefined when that can't be told. */
export function isPresent(path: string): Promise<boolean | undefined> {
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      resolve(true);
      socket.destroy();
    });
    socket.on('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED') resolve(isKnown(path));
      else resolve(PRESENT_CODES.has(code) ? true : undefined);
    });
  });
}

/**
 * Whether the kernel has a socket of that name, for Bun reports a full queue as a refusal, too. It knows those of this network
 * namespace; the folder may be mounted elsewhere for who listens, so the name has to do.
 */
async function isKnown(path: string): Promise<boolean> {
  const sockets = await boundUnixSockets();
  return sockets.some((bound) => basename(bound.path) === basename(path));
}
