/** A peer that speaks WebSocket, by the package `ws`: the independent other end of the WebSocket transports. */
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { Inbox, type Peer, secureOver } from './transport-peers.ts';

export interface WebSocketPeer extends Peer {
  /** Sends a part of a message; `isLast` ends it. */
  writePart(bytes: Uint8Array, isLast: boolean): void;
  writeText(text: string): void;
  /** What the connection was closed with; 1006 when there was no close frame. */
  readonly closeCode: Promise<number>;
}

const HEADER_BYTES = 5;

/**
 * Connects. What is written is one message, and messages are read one after the other as bytes; if `framed`, what is
 * written and read are frames, as of a stream, whose payloads are the messages.
 */
export async function dialWebSocket(address: string, framed = false): Promise<WebSocketPeer> {
  const { hostname: host, port } = new URL(address);
  const raw = connect({ host: host.replace(/^\[|\]$/g, ''), port: Number(port), noDelay: true });
  const createConnection = () => (address.startsWith('wss:') ? secureOver(raw) : raw);
  const socket = new WebSocket(address, { perMessageDeflate: false, maxPayload: 0, createConnection });
  const inbox = new Inbox();
  const closeCode = new Promise<number>((resolve) => socket.once('close', resolve));
  const closed = closeCode.then(() => {});
  // Before it is open: a server's first message may come with its answer to the request.
  socket.on('message', (message: Buffer) => {
    if (framed) inbox.push(header(message.length));
    inbox.push(message);
  });
  socket.once('close', () => inbox.end());
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  // A reset is what some tests ask for; `closed` tells of it.
  socket.on('error', () => {});
  const send = (message: Uint8Array) => socket.send(message);
  return {
    write: framed ? cutFrames(send) : send,
    writePart: (bytes, isLast) => socket.send(bytes, { fin: isLast, binary: true }),
    writeText: (text) => socket.send(text),
    get unsentBytes() {
      return socket.bufferedAmount;
    },
    read: (count) => inbox.read(count),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    end: () => socket.close(1000),
    destroy: () => socket.terminate(),
    reset: () => void raw.resetAndDestroy(),
    ended: closed,
    closed,
    closeCode,
  };
}

function header(length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES, 0xce);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

/** Gives the payload of each frame that is complete to `send`. */
function cutFrames(send: (payload: Uint8Array) => void): (bytes: Uint8Array) => void {
  let rest = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUInt32BE(1);
      if (rest.length < end) return;
      send(rest.subarray(HEADER_BYTES, end));
      rest = rest.subarray(end);
    }
  };
}
