/** Reads what `samplingProfilerStackTraces` of `bun:jsc` gives: the stacks of one thread, innermost function first. */
import { Frames, type ThreadProfile, type Window } from './profile.ts';

interface JscTraces {
  /** Unit of the times: seconds. */
  readonly traces: readonly { readonly timestamp: number; readonly frames: readonly JscFrame[] }[];
}

interface JscFrame {
  readonly name: string;
  readonly sourceURL?: string;
  readonly line: number;
}

/** In the place of a line that is not known. */
const NO_LINE = 0xffff_ffff;

/** The samples that fall into the window, each for the time that it was after the one before, or after the window's begin. */
export function readJscTraces(json: string, thread: string, window: Window): ThreadProfile {
  const { traces } = JSON.parse(json) as JscTraces;
  const frames = new Frames();
  const within = traces.filter(({ timestamp }) => {
    return timestamp * 1e6 >= window.fromMicros && timestamp * 1e6 <= window.toMicros;
  });
  let beforeMicros = window.fromMicros;
  const samples = within.flatMap(({ timestamp, frames: stack }) => {
    const micros = timestamp * 1e6 - beforeMicros;
    beforeMicros = timestamp * 1e6;
    if (stack.length === 0) return [];
    return { micros, stack: stack.toReversed().map((frame) => frameOf(frame, frames)) };
  });
  return { thread, samples, idleMicros: 0 };
}

function frameOf({ name, sourceURL, line }: JscFrame, frames: Frames) {
  const shown = name === '' ? '(anonymous)' : name;
  if (shown.includes('wasm-function')) return frames.of(shown.replace(/^\./, ''), 'wasm');
  return frames.of(shown, sourceURL?.replace(/^file:\/\//, '') || undefined, line === NO_LINE ? undefined : line);
}
