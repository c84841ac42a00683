/** Replies on a connection that carries messages: the engine writes frames, and what leaves are their payloads. */
import type { Connection, Lease } from '../connection.ts';
import { FRAME_HEADER_BYTES, readFrameLength } from '../protocol.ts';

/** Sends each payload of some whole frames, at least one, as a message. */
export function sendPayloads(connection: Connection, frames: Uint8Array, lease: Lease | undefined): void {
  const first = FRAME_HEADER_BYTES + readFrameLength(frames, 0);
  if (first === frames.length) connection.send(frames.subarray(FRAME_HEADER_BYTES), lease);
  else if (connection.cork === undefined) sendEach(connection, frames, lease);
  else connection.cork(() => sendEach(connection, frames, lease));
}

function sendEach(connection: Connection, frames: Uint8Array, lease: Lease | undefined): void {
  let start = 0;
  while (start < frames.length) {
    const end = start + FRAME_HEADER_BYTES + readFrameLength(frames, start);
    connection.send(frames.subarray(start + FRAME_HEADER_BYTES, end), lease);
    start = end;
  }
}
