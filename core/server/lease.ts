/** The output of one turn in the hands of a transport: the engine writes to another one until it is given back. */
import type { Lease } from '../connection.ts';
import type { Engine, EngineRoom } from '../engine/engine.ts';

export class OutputLease implements Lease {
  readonly #room: EngineRoom;
  #readers = 0;
  /** Where the output is once it was taken away from the engine. */
  #offset: number | undefined;

  /** A lease of the output that the engine writes to now; undefined when it can't be taken away. */
  static of({ room }: Engine): OutputLease | undefined {
    return room === undefined ? undefined : new OutputLease(room);
  }

  private constructor(room: EngineRoom) {
    this.#room = room;
  }

  retain(): void {
    this.#readers++;
  }

  release(): void {
    if (--this.#readers === 0 && this.#offset !== undefined) this.#room.recycleOutput(this.#offset);
  }

  /** The turn's replies were all sent: takes the output away from the engine if anybody reads it, and returns whether. */
  detach(): boolean {
    if (this.#readers === 0) return false;
    this.#offset = this.#room.detachOutput();
    return true;
  }
}
