/**
 * Replies that must not leave yet, because they show writes which are not durable: turns in their order, each with the number
 * of the log's record that it waits for. Many bytes stay where the engine wrote them, as long as its output can be taken away;
 * few are copied, for an output takes at least 64 KiB.
 */
import type { Engine } from '../engine/engine.ts';
import type { OutputLease, OutputLender } from './lease.ts';
import type { Session } from './session.ts';

/** What is smaller than this is copied: it takes less memory than an output then, and hardly more time. Unit: bytes. */
const COPIED_BYTES_MAX = 32 * 1024;

/** What a turn takes that is held, besides the bytes of its replies: its objects and their places. Unit: bytes. */
const HELD_TURN_BYTES = 512;

/** Which part of a turn's output goes to whom: the parts lie behind one another, each from the end of the one before. */
export interface TurnParts {
  readonly sessions: readonly Session[];
  readonly ends: readonly number[];
}

interface HeldTurn extends TurnParts {
  /** The record that has to be acknowledged first. */
  readonly record: number;
  readonly bytes: number;
  /** Of the output that was taken away from the engine. */
  readonly lease: OutputLease | undefined;
  /** The output, where it was not taken away. */
  readonly copy: Uint8Array | undefined;
}

export class HeldReplies {
  readonly #engine: Engine;
  readonly #lender: OutputLender;
  readonly #turns: HeldTurn[] = [];
  #bytes = 0;

  constructor(engine: Engine, lender: OutputLender) {
    this.#engine = engine;
    this.#lender = lender;
  }

  /** How much memory all that is held takes, at most about twice as much where outputs were taken away. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#turns.length === 0;
  }

  /** Holds all that is in the engine's output, which is empty then, until `record` is acknowledged. */
  holdOutput(record: number, parts: TurnParts): void {
    const engine = this.#engine;
    const bytes = engine.outputBytes;
    const lease = bytes < COPIED_BYTES_MAX ? undefined : this.#lender.detach();
    let copy: Uint8Array | undefined;
    if (lease === undefined) {
      copy = engine.memory.slice(engine.outputOffset, engine.outputOffset + bytes);
      engine.clearOutput();
    }
    this.#add({ record, ...parts, bytes, lease, copy });
  }

  /** Holds a reply to one session that the engine did not write. */
  hold(record: number, session: Session, reply: Uint8Array): void {
    this.#add({
      record,
      sessions: [session],
      ends: [reply.length],
      bytes: reply.length,
      lease: undefined,
      copy: reply,
    });
  }

  /** Everything up to `record` is acknowledged: the replies that waited for it leave. */
  release(record: number): void {
    while (this.#turns.length > 0 && this.#turns[0]!.record <= record) this.#deliver(this.#turns.shift()!);
  }

  /** None will ever be acknowledged: in the place of all that is held leaves what `refusal` makes of some whole frames. */
  refuse(refusal: (frames: Uint8Array) => Uint8Array): void {
    for (const turn of this.#turns.splice(0)) this.#deliver(turn, refusal);
  }

  #deliver(turn: HeldTurn, refusal?: (frames: Uint8Array) => Uint8Array): void {
    const { sessions, ends, bytes, lease, copy } = turn;
    this.#bytes -= HELD_TURN_BYTES + bytes;
    const output = copy ?? this.#engine.memory.subarray(lease!.offset, lease!.offset + bytes);
    let start = 0;
    for (const [i, session] of sessions.entries()) {
      const end = ends[i]!;
      const frames = output.subarray(start, end);
      if (refusal === undefined) session.flush(frames, lease);
      else session.flush(refusal(frames), undefined, frames.length);
      start = end;
    }
    lease?.release();
  }

  #add(turn: HeldTurn): void {
    this.#turns.push(turn);
    this.#bytes += HELD_TURN_BYTES + turn.bytes;
  }
}
