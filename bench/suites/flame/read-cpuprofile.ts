/**
 * Reads `.cpuprofile`, what `--cpu-prof` of Node, Deno and Bun writes: a tree of calls, the node that each sample fell on, and
 * the time between samples. The format is that of `Profiler.Profile` in the Chrome DevTools Protocol.
 */
import { type Frame, Frames, type Sample, type ThreadProfile, type Window } from './profile.ts';

interface CpuProfile {
  readonly nodes: readonly CpuProfileNode[];
  /** Unit: microseconds, like all times in it. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface CpuProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

const IDLE = '(idle)';

/** A process has ended before each of its threads had written its profile, as Deno does at times. */
export class IncompleteProfileError extends Error {
  override readonly name = 'IncompleteProfileError';
}

/** The samples of one thread that fall into the window, which is on the clock of the profile. Throws `IncompleteProfileError`. */
export function readCpuProfile(json: string, thread: string, window: Window): ThreadProfile {
  const profile = parse(json, thread);
  const stacks = stacksOf(profile.nodes);
  const samples: Sample[] = [];
  let idleMicros = 0;
  let atMicros = profile.startTime;
  for (const [at, node] of profile.samples.entries()) {
    const micros = Math.max(0, profile.timeDeltas[at]!);
    atMicros += profile.timeDeltas[at]!;
    if (atMicros < window.fromMicros || atMicros > window.toMicros) continue;
    const stack = stacks.get(node);
    // The root alone is no function: nothing was running.
    if (stack === undefined || stack.length === 0 || stack[0]!.name === IDLE) idleMicros += micros;
    else samples.push({ stack, micros });
  }
  return { thread, samples, idleMicros };
}

/** The stack of each node by its number, without the root. */
function stacksOf(nodes: readonly CpuProfileNode[]): ReadonlyMap<number, readonly Frame[]> {
  const frames = new Frames();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const inner = new Set(nodes.flatMap(({ children = [] }) => children));
  const stacks = new Map<number, readonly Frame[]>();
  const walk = (root: CpuProfileNode): void => {
    const todo: (readonly [CpuProfileNode, readonly Frame[]])[] = [[root, []]];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const [node, stack] = next;
      stacks.set(node.id, stack);
      for (const id of node.children ?? []) {
        const child = byId.get(id);
        if (child !== undefined) todo.push([child, [...stack, frameOf(child, frames)]]);
      }
    }
  };
  for (const node of nodes) if (!inner.has(node.id)) walk(node);
  return stacks;
}

function frameOf({ callFrame }: CpuProfileNode, frames: Frames): Frame {
  const { functionName, url, lineNumber } = callFrame;
  const name = functionName === '' ? '(anonymous)' : functionName;
  // A function of the runtime's own has no file, and one of WebAssembly is where its bytes are, not in a line.
  if (url === '' || url.startsWith('wasm:')) return frames.of(name, url === '' ? undefined : 'wasm');
  return frames.of(name, url.replace(/^file:\/\//, ''), lineNumber < 0 ? undefined : lineNumber + 1);
}

function parse(json: string, thread: string): CpuProfile {
  try {
    return JSON.parse(json) as CpuProfile;
  } catch (error) {
    throw new IncompleteProfileError(`the profile of the ${thread} can't be read: ${(error as Error).message}`);
  }
}
