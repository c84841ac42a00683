/**
 * What a shard needs of its log. Records are numbered in their order; "settled" are those that no reply has to wait for any
 * more, because they are acknowledged or given up.
 */
export interface TurnLog {
  /** Told of what happens outside of the shard's calls. */
  host: TurnLogHost | undefined;
  /** Adds what the engine's last `execute` changed to the record of this turn. */
  append(redo: Uint8Array, timeMs: number): void;
  /** A frame of somebody was executed: its reply waits for what was recorded up to the end of this turn. */
  executed(who: object): void;
  /** Nobody is to wait for him any more: he is gone. */
  left(who: object): void;
  /** Ends the record, if there is one, and returns the number of the latest, which may be settled already. */
  endTurn(): number;
  /** Every record up to this number is settled. */
  readonly settled: number;
  /** Nothing more comes for now: what was recorded and is not being written is to be written. */
  commit(): void;
  /** A write or a sync has failed, and `giveUp` was not called since: no further record will be acknowledged. */
  readonly hasFailed: boolean;
  /** All records are settled, since whoever waited for them was told that they may be lost. */
  giveUp(): void;
  /** Bytes recorded and not settled. */
  readonly pendingBytes: number;
  /** Called about every `TICK_MS`. */
  tick(): void;
  /** What INFO tells of it. */
  info(): Readonly<Record<string, string | number>>;
}

export interface TurnLogHost {
  /** `settled` has grown. */
  settled(): void;
  /** `hasFailed` has become true. */
  failed(): void;
  /** After a failure, records are taken again. */
  resumed(): void;
}
