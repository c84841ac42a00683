/** Which tracer there is. */
import { usageError } from '../../../runtime/command/errors.ts';
import { perfTracer } from './perf-tracer.ts';
import { straceTracer } from './strace-tracer.ts';
import type { Tracer, TracerName } from './tracer.ts';

/** The one that disturbs less comes first. */
const TRACERS = [
  ['perf', perfTracer],
  ['strace', straceTracer],
] as const;

/** The tracer that was asked for; without one, the first that works here. Throws a `CommandError` that says why none does. */
export async function chooseTracer(asked: TracerName | undefined): Promise<Tracer> {
  const problems: string[] = [];
  for (const [name, find] of TRACERS) {
    if (asked !== undefined && asked !== name) continue;
    const found = await find();
    if (!('problem' in found)) return found;
    problems.push(`${name}: ${found.problem}`);
  }
  throw usageError(`nothing here can count system calls; ${problems.join('; ')}`);
}
