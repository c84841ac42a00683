/** Reads what `perf script -F comm,tid,ip,sym,dso` prints: a head for each sample, then its stack, innermost first. */
import { type Frame, Frames, type Sample, type ThreadProfile } from './profile.ts';

/** `JS:^execute file:///app/shard.js:12:3`, as V8 names what it has compiled; a mark says by which of its compilers. */
const V8_FUNCTION = /^(?:JS|LazyCompile|Function|Script|Eval|RegExp):[~*^+']*(\S*) (?:file:\/\/)?(\S+?):(\d+):\d+$/;

/** A thread for each that was seen, the one with most samples first; each sample stands for `micros`. */
export function readPerfScript(text: string, micros: number): readonly ThreadProfile[] {
  const frames = new Frames();
  const threads = new Map<string, Sample[]>();
  for (const block of text.split('\n\n')) {
    const [head = '', ...lines] = block.split('\n').filter((line) => line.trim() !== '');
    const [, name, id] = /^\s*(.+?)\s+(\d+)\s*$/.exec(head) ?? [];
    const stack = lines.flatMap((line) => frameOf(line, frames) ?? []).reverse();
    if (name === undefined || stack.length === 0) continue;
    const thread = `${name} ${id}`;
    const samples = threads.get(thread);
    if (samples === undefined) threads.set(thread, [{ stack, micros }]);
    else samples.push({ stack, micros });
  }
  return [...threads]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([thread, samples]) => ({ thread, samples, idleMicros: 0 }));
}

/** `  101829 syscall (/usr/lib/libc.so.6)`; undefined for a line that is none. */
function frameOf(line: string, frames: Frames): Frame | undefined {
  const [, symbol, library] = /^\s*[0-9a-f]+ (.+) \((.*)\)$/.exec(line) ?? [];
  if (symbol === undefined || library === undefined) return undefined;
  const [, name, file, at] = V8_FUNCTION.exec(symbol) ?? [];
  if (file !== undefined) return frames.of(name === '' ? '(anonymous)' : name!, file, Number(at));
  const from = library.slice(library.lastIndexOf('/') + 1);
  return frames.of(symbol.replace(/\+0x[0-9a-f]+$/, ''), /^perf-\d+\.map$/.test(from) ? 'jit' : from);
}
