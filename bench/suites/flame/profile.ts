/** A CPU profile, whoever took it: samples of stacks, thread by thread. What reads and what writes profiles meets here. */

/** A function on a stack. */
export interface Frame {
  readonly name: string;
  /** The file or library it is in; undefined when that is not known. */
  readonly file?: string | undefined;
  /** In the file, from 1. */
  readonly line?: number | undefined;
}

export interface Sample {
  /** Outermost first. The same function is the same object, so that frames can be told apart by identity. */
  readonly stack: readonly Frame[];
  /** The time that it stands for. Unit: microseconds. */
  readonly micros: number;
}

/** One thread of a process. */
export interface ThreadProfile {
  readonly thread: string;
  /** Where it was, whenever it was not idle; in the order of time. */
  readonly samples: readonly Sample[];
  /** Time in which it had nothing to do. Unit: microseconds; 0 where the profiler does not tell. */
  readonly idleMicros: number;
}

/** A part of time on the clock of the kernel that never jumps (CLOCK_MONOTONIC). Unit: microseconds. */
export interface Window {
  readonly fromMicros: number;
  readonly toMicros: number;
}

/** Gives out each frame once. */
export class Frames {
  readonly #frames = new Map<string, Frame>();

  of(name: string, file?: string, line?: number): Frame {
    const key = `${name}\n${file ?? ''}\n${line ?? ''}`;
    const known = this.#frames.get(key);
    if (known !== undefined) return known;
    const frame = { name, file, line };
    this.#frames.set(key, frame);
    return frame;
  }
}

/** Time of all samples. Unit: microseconds. */
export function busyMicros(threads: readonly ThreadProfile[]): number {
  return threads.reduce((sum, { samples }) => sum + samples.reduce((of, { micros }) => of + micros, 0), 0);
}

/** The functions in which most time was spent themselves, with their shares of all samples. */
export function topFrames(threads: readonly ThreadProfile[], count: number): readonly (readonly [Frame, number])[] {
  const micros = new Map<Frame, number>();
  for (const sample of threads.flatMap(({ samples }) => samples)) {
    const frame = sample.stack.at(-1)!;
    micros.set(frame, (micros.get(frame) ?? 0) + sample.micros);
  }
  const all = busyMicros(threads);
  return [...micros]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([frame, own]) => [frame, own / all]);
}

/** `execute shard.js:120`. */
export function frameLabel({ name, file, line }: Frame): string {
  if (file === undefined) return name;
  const base = file.slice(file.lastIndexOf('/') + 1);
  return `${name} ${base}${line === undefined ? '' : `:${line}`}`;
}
