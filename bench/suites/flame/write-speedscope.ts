/** Writes a profile as speedscope's own JSON (speedscope.app, "file format"), which its page opens: a profile per thread. */
import type { Frame, ThreadProfile } from './profile.ts';

export function speedscope(name: string, threads: readonly ThreadProfile[]): string {
  const indexes = new Map<Frame, number>();
  const indexOf = (frame: Frame): number => {
    const known = indexes.get(frame);
    if (known !== undefined) return known;
    indexes.set(frame, indexes.size);
    return indexes.size - 1;
  };
  const profiles = threads.map(({ thread, samples }) => {
    const weights = samples.map(({ micros }) => micros);
    return {
      type: 'sampled',
      name: thread,
      unit: 'microseconds',
      startValue: 0,
      endValue: weights.reduce((sum, one) => sum + one, 0),
      samples: samples.map(({ stack }) => stack.map(indexOf)),
      weights,
    };
  });
  const frames = [...indexes.keys()].map((frame) => ({
    name: frame.name,
    ...(frame.file === undefined ? {} : { file: frame.file }),
    ...(frame.line === undefined ? {} : { line: frame.line }),
  }));
  return JSON.stringify({
    $schema: 'https://www.speedscope.app/file-format-schema.json',
    name,
    exporter: 'ringkv bench flame',
    activeProfileIndex: 0,
    shared: { frames },
    profiles,
  });
}
