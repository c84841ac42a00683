/** Executing what a log or a snapshot holds on the engine that is to have it. */
import type { Engine } from '../engine/engine.ts';
import { Reader } from '../msgpack.ts';
import { FRAME_HEADER_BYTES, FRAME_TAG, readFrameLength } from '../protocol.ts';
import { type LogPlace, ReplayError } from './errors.ts';

/**
 * What replaying may sweep, in the engine's units, for each payload and for each operation in it; so that it holds no more
 * expired keys than the server did that wrote the log. It is what a shard sweeps, see `core/server/shard.ts`.
 */
const SWEEP_PER_REPLAY = 32;
const SWEEP_PER_OPERATION = 4;

/**
 * Executes one payload that an engine gave as redo bytes, or a snapshot as sets. Throws `ReplayError` when not all of it
 * had its effect.
 */
export function replayPayload(engine: Engine, payload: Uint8Array, timeMs: number, place: LogPlace): void {
  const offset = engine.reserveInput(payload.length);
  engine.memory.set(payload, offset);
  const readable = engine.replay(offset, payload.length, timeMs);
  engine.clearOutput();
  // All operations of the payload changed something when they were new. If so again, they are the redo bytes again, but
  // for the header of the array, which may be longer now.
  if (!readable || engine.redo().length < payload.length) {
    throw new ReplayError(
      place,
      `the engine refused what is stored there; it may have less memory than the one that stored it`,
    );
  }
  engine.sweep(timeMs, SWEEP_PER_REPLAY + new Reader(payload).arrayHeader() * SWEEP_PER_OPERATION);
}

/** Executes the frames that a record's body is made of, at the time of the record; without any, it is that time all the same. */
export function replayBody(engine: Engine, body: Uint8Array, timeMs: number, place: LogPlace): void {
  if (body.length === 0) engine.sweep(timeMs, SWEEP_PER_REPLAY);
  for (let position = 0; position < body.length; ) {
    const start = position + FRAME_HEADER_BYTES;
    const end = start + (start <= body.length ? readFrameLength(body, position) : 0);
    if (end > body.length || body[position] !== FRAME_TAG) {
      throw new ReplayError(place, `what is stored there is no sequence of frames at byte ${position}`);
    }
    replayPayload(engine, body.subarray(start, end), timeMs, place);
    position = end;
  }
}
