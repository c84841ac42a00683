/**
 * Outputs of turns in the hands of a transport: the engine writes to another one until it gets one back. How much may be lent
 * at a time is bounded, for it is lent to peers that may be slow: beyond that the transport has to copy.
 */
import type { Lease } from '../connection.ts';
import type { Engine, EngineRoom } from '../engine/engine.ts';

/** Most of an engine's memory that is lent at a time, to all transports' connections together. Unit: bytes. */
export const LENT_BYTES_MAX = 64 * 1024 * 1024;

export class OutputLender {
  readonly #engine: Engine;
  readonly #bytesMax: number;
  #lentBytes = 0;
  /** Of the output that the engine writes to, while nobody has retained it. */
  #unused: OutputLease | undefined;

  constructor(engine: Engine, bytesMax: number = LENT_BYTES_MAX) {
    this.#engine = engine;
    this.#bytesMax = bytesMax;
  }

  /** A lease of the output as it is; undefined when it can't be taken away, or when too much is lent already. */
  lease(): OutputLease | undefined {
    const { room } = this.#engine;
    if (room === undefined || this.#lentBytes + room.outputRoom() > this.#bytesMax) return undefined;
    this.#unused ??= new OutputLease(this, this.#engine, room);
    return this.#unused;
  }

  /** The replies in the output were all sent: it is used again, by whoever has it. */
  settle(): void {
    const engine = this.#engine;
    const lease = this.#unused;
    if (lease === undefined || !lease.isRetained) {
      engine.clearOutput();
      return;
    }
    this.#unused = undefined;
    this.#lentBytes += lease.detach();
  }

  /**
   * Takes the output away for whoever holds it back, with one reader, so that it keeps its place until they release it;
   * undefined when it has to be copied instead.
   */
  detach(): OutputLease | undefined {
    const lease = this.lease();
    lease?.retain();
    if (lease !== undefined) this.settle();
    return lease;
  }

  /** An output was given back. */
  returned(bytes: number): void {
    this.#lentBytes -= bytes;
  }
}

export class OutputLease implements Lease {
  readonly #lender: OutputLender;
  readonly #engine: Engine;
  readonly #room: EngineRoom;
  #readers = 0;
  /** Where the output is once it was taken away from the engine, and how much memory it takes. */
  #offset: number | undefined;
  #bytes = 0;

  constructor(lender: OutputLender, engine: Engine, room: EngineRoom) {
    this.#lender = lender;
    this.#engine = engine;
    this.#room = room;
  }

  get memory(): Uint8Array {
    return this.#engine.memory;
  }

  /** Where the output lies once it was taken away from the engine. */
  get offset(): number {
    return this.#offset!;
  }

  get isRetained(): boolean {
    return this.#readers > 0;
  }

  retain(): void {
    this.#readers++;
  }

  release(): void {
    if (--this.#readers > 0 || this.#offset === undefined) return;
    this.#room.recycleOutput(this.#offset);
    this.#lender.returned(this.#bytes);
  }

  /** Takes the output away from the engine. Returns how much memory it takes. Unit: bytes. */
  detach(): number {
    this.#bytes = this.#room.outputRoom();
    this.#offset = this.#room.detachOutput();
    return this.#bytes;
  }
}
