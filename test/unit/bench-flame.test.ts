/** Profiles, read as each profiler writes them, and written as speedscope and browsers read them. */
import { spawnSync } from 'node:child_process';
import { platform } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { busyMicros, frameLabel, type ThreadProfile, topFrames } from '../../bench/suites/flame/profile.ts';
import { IncompleteProfileError, readCpuProfile } from '../../bench/suites/flame/read-cpuprofile.ts';
import { readJscTraces } from '../../bench/suites/flame/read-jsc.ts';
import { readPerfScript } from '../../bench/suites/flame/read-perf.ts';
import { speedscope } from '../../bench/suites/flame/write-speedscope.ts';
import { flameSvg, flameTree } from '../../bench/suites/flame/write-svg.ts';
import { root, runtimes } from '../support/children.ts';

/** The stacks as text, with the time of each. */
function told({ samples }: ThreadProfile): string[] {
  return samples.map(({ stack, micros }) => `${stack.map(frameLabel).join(' > ')}: ${micros}`);
}

const node = (id: number, functionName: string, url: string, lineNumber: number, children: number[] = []) => {
  return { id, callFrame: { functionName, url, lineNumber }, children };
};

const cpuProfile = JSON.stringify({
  nodes: [
    node(1, '(root)', '', -1, [2, 3, 4]),
    node(2, '(idle)', '', -1),
    node(3, 'turn', 'file:///app/loop.js', 9, [5, 6]),
    node(4, '', 'node:net', 0),
    node(5, 'wasm-function[7]', 'wasm://wasm/0001', 0),
    node(6, 'enter', 'file:///app/ring.js', 40),
  ],
  startTime: 1000,
  samples: [3, 5, 2, 6, 4, 1, 5],
  timeDeltas: [100, 100, 100, 100, 100, 100, 1000],
});

test('a .cpuprofile: stacks from the outermost on, idle time apart, and nothing from outside of the window', () => {
  const profile = readCpuProfile(cpuProfile, 'main', { fromMicros: 1150, toMicros: 1650 });
  expect(told(profile)).toEqual([
    'turn loop.js:10 > wasm-function[7] wasm: 100',
    'turn loop.js:10 > enter ring.js:41: 100',
    '(anonymous) node:net:1: 100',
  ]);
  expect(profile).toMatchObject({ thread: 'main', idleMicros: 200 });
  expect(profile.samples[0]!.stack[0]).toBe(profile.samples[1]!.stack[0]);
});

test('a .cpuprofile that ends in the middle, after a brace or not, is told as such', () => {
  for (const length of [0, 1, cpuProfile.indexOf('}') + 1, cpuProfile.length - 1]) {
    const read = () => readCpuProfile(cpuProfile.slice(0, length), 'main', { fromMicros: 0, toMicros: 1 });
    expect(read).toThrow(IncompleteProfileError);
  }
});

describe.each(runtimes())('under $name', ({ command: [program, ...args] }) => {
  test.skipIf(platform() !== 'linux')("the window is on the kernel's clock that never jumps", () => {
    const now = (): number => Number(process.hrtime.bigint()) / 1000;
    const before = now();
    const { stdout, stderr } = spawnSync(program!, [...args, join(root, 'test/support/clock-app.mjs')], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(Number(stdout)).toBeGreaterThan(before);
    expect(Number(stdout)).toBeLessThan(now());
    // /proc/uptime, which is another clock, counts hundredths of a second.
    expect(Number(stdout) % 10_000).not.toBe(0);
  });
});

test("JavaScriptCore's traces: innermost first, on a clock in seconds", () => {
  const frame = (name: string, sourceURL: string | undefined, line: number) => ({ name, sourceURL, line });
  const json = JSON.stringify({
    interval: 0.001,
    traces: [
      { timestamp: 1, frames: [frame('early', '/app/a.js', 1)] },
      { timestamp: 2.001, frames: [frame('enter', '/app/ring.js', 48), frame('', '/app/loop.js', 9)] },
      {
        timestamp: 2.003,
        frames: [frame('.wasm-function[3]', undefined, 0xffff_ffff), frame('#turn', '/app/loop.js', 0xffff_ffff)],
      },
      { timestamp: 3, frames: [frame('late', '/app/a.js', 1)] },
    ],
  });
  const profile = readJscTraces(json, 'shard', { fromMicros: 2_000_000, toMicros: 2_500_000 });
  expect(profile.samples.map(({ micros }) => Math.round(micros))).toEqual([1000, 2000]);
  expect(profile.samples.map(({ stack }) => stack.map(frameLabel).join(' > '))).toEqual([
    '(anonymous) loop.js:9 > enter ring.js:48',
    '#turn loop.js > wasm-function[3] wasm',
  ]);
});

test('perf script: threads, functions of V8 with their files, libraries', () => {
  const threads = readPerfScript(
    `node  1299 
	ffffffff8100 tcp_sendmsg ([kernel.kallsyms])
	          101829 syscall (/usr/lib/libc.so.6)
	    7f905813caba JS:^#turn file:///app/dist/loop.js:223:10 (/tmp/perf-1287.map)
	         9bb549 node::Start(int)::{lambda(void*)#1}::_FUN (/usr/bin/node)

node  1287 
	    7f90580cf11c JS:~ node:internal/timers:1:1 (/tmp/perf-1287.map)

node  1299 
	    7f905813caba [unknown] (/tmp/perf-1287.map)

`,
    1000,
  );
  expect(threads.map(({ thread }) => thread)).toEqual(['node 1299', 'node 1287']);
  expect(told(threads[0]!)).toEqual([
    'node::Start(int)::{lambda(void*)#1}::_FUN node > #turn loop.js:223 > syscall libc.so.6 > tcp_sendmsg [kernel.kallsyms]: 1000',
    '[unknown] jit: 1000',
  ]);
  expect(told(threads[1]!)).toEqual(['(anonymous) timers:1: 1000']);
});

const threads = [
  readCpuProfile(cpuProfile, 'main <1>', { fromMicros: 0, toMicros: 1650 }),
  readCpuProfile(cpuProfile, 'worker', { fromMicros: 1550, toMicros: 9999 }),
];

test('the top of a profile: time in functions themselves', () => {
  expect(busyMicros(threads)).toBe(1400);
  expect(topFrames([threads[0]!], 2).map(([frame, share]) => [frame.name, share])).toEqual([
    ['turn', 0.25],
    ['wasm-function[7]', 0.25],
  ]);
});

test("speedscope's format: each frame once, samples of indexes, weights that add up", () => {
  const file = JSON.parse(speedscope('title', threads));
  expect(file.$schema).toBe('https://www.speedscope.app/file-format-schema.json');
  expect(file.shared.frames[0]).toEqual({ name: 'turn', file: '/app/loop.js', line: 10 });
  expect(file.profiles).toHaveLength(2);
  for (const profile of file.profiles) {
    expect(profile).toMatchObject({ type: 'sampled', unit: 'microseconds', startValue: 0 });
    expect(profile.samples).toHaveLength(profile.weights.length);
    expect(profile.weights.reduce((sum: number, one: number) => sum + one, 0)).toBe(profile.endValue);
    for (const index of profile.samples.flat()) expect(file.shared.frames[index]).toBeDefined();
  }
});

test('a flame graph: every function is as wide as itself and what it called, and names are safe in XML', () => {
  const root = flameTree(threads);
  const sums = (at: typeof root): void => {
    const called = [...at.children.values()].reduce((sum, { micros }) => sum + micros, 0);
    expect(called).toBeLessThanOrEqual(at.micros);
    for (const child of at.children.values()) sums(child);
  };
  sums(root);
  expect(root.micros).toBe(1400);
  const svg = flameSvg('a & b', 'note', threads);
  expect(svg).toContain('<title>turn (/app/loop.js:10): 21.4 %, 0.3 ms</title>');
  expect(svg).toContain('main &lt;1&gt;');
  expect(svg).toContain('<title>a &amp; b</title>');
  expect(svg).not.toMatch(/<script|href=|url\(/);
  const widths = [...svg.matchAll(/<rect class="\w+" x="([\d.]+)" y="\d+" width="([\d.]+)"/g)];
  for (const [, x, width] of widths) expect(Number(x) + Number(width)).toBeLessThanOrEqual(1200);
});
