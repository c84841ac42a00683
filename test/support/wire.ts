/**
 * An independent client of the protocol: frames written by hand around `@msgpack/msgpack`, over `node:net` or `ws`. It shares no
 * code with the client that the project ships, so that the two can't be wrong together.
 */
import { decode, type ExtData } from '@msgpack/msgpack';
import { concat, encode } from './bytes.ts';
import { dialSocket, type Peer, speaksWebSocket } from './transport-peers.ts';
import { dialWebSocket } from './websocket-peer.ts';

/** An error in the place of a result or of a whole payload. */
export interface WireError {
  readonly error: string;
  readonly message: string;
}

/** The frame of a payload. */
export function frame(payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(5);
  header[0] = 0xce;
  header.writeUInt32BE(payload.length, 1);
  return concat(header, payload);
}

/** The frame of these operations. */
export function request(...operations: readonly unknown[]): Uint8Array {
  return frame(encode(operations));
}

export class WireClient {
  readonly peer: Peer;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  static async dial(address: string): Promise<WireClient> {
    return new WireClient(speaksWebSocket(address) ? await dialWebSocket(address, true) : await dialSocket(address));
  }

  /** The next reply's payload. */
  async payload(): Promise<Buffer> {
    const header = await this.peer.read(5);
    if (header[0] !== 0xce) throw new Error(`a reply starts with ${header.toString('hex')}`);
    return this.peer.read(header.readUInt32BE(1));
  }

  /** The next reply, decoded: an array of results, or the error of the whole payload. */
  async reply(): Promise<unknown> {
    return decodeReply(await this.payload());
  }

  /** Sends one frame of operations and returns its results. */
  async call(...operations: readonly unknown[]): Promise<unknown[]> {
    this.peer.write(request(...operations));
    return (await this.reply()) as unknown[];
  }

  close(): Promise<void> {
    this.peer.destroy();
    return this.peer.closed;
  }
}

/** A reply's payload, decoded: an array of results, or the error of the whole payload. */
export function decodeReply(payload: Uint8Array): unknown {
  return withErrors(decode(payload, { useBigInt64: false }));
}

export function withErrors(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withErrors);
  const ext = value as ExtData | null;
  if (typeof ext !== 'object' || ext?.type !== 1 || !(ext.data instanceof Uint8Array)) return value;
  const [error, message] = decode(ext.data) as [string, string];
  return { error, message } satisfies WireError;
}
