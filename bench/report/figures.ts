/** What the figures and dimensions of the suites' JSON are called on the page, and what they are counted in. */
import type { Dimensions } from '../results/report.ts';
import type { Unit } from './format.ts';

export interface FigureKind {
  readonly title: string;
  readonly unit: Unit;
  /** Which is better; absent where neither is. */
  readonly best?: 'lowest' | 'highest';
}

const KNOWN: Readonly<Record<string, FigureKind>> = {
  opsPerSecond: { title: 'operations per second', unit: '/s', best: 'highest' },
  valueBytesPerSecond: { title: 'bytes of values per second', unit: 'B/s', best: 'highest' },
  serverMicrosPerOp: { title: 'server CPU per operation', unit: 'µs', best: 'lowest' },
  serverUserMicrosPerOp: { title: 'server CPU per operation, user', unit: 'µs', best: 'lowest' },
  serverSystemMicrosPerOp: { title: 'server CPU per operation, system', unit: 'µs', best: 'lowest' },
  generatorMicrosPerOp: { title: 'generator CPU per operation', unit: 'µs', best: 'lowest' },
  p50Micros: { title: 'latency p50', unit: 'µs', best: 'lowest' },
  p90Micros: { title: 'latency p90', unit: 'µs', best: 'lowest' },
  p99Micros: { title: 'latency p99', unit: 'µs', best: 'lowest' },
  p999Micros: { title: 'latency p99.9', unit: 'µs', best: 'lowest' },
  p9999Micros: { title: 'latency p99.99', unit: 'µs', best: 'lowest' },
  maxMicros: { title: 'longest latency', unit: 'µs', best: 'lowest' },
  meanMicros: { title: 'mean time', unit: 'µs', best: 'lowest' },
  standardDeviationMicros: { title: 'standard deviation', unit: 'µs', best: 'lowest' },
  sendMeanMicros: { title: 'mean time of a block', unit: 'µs', best: 'lowest' },
  sendDeviationMicros: { title: 'standard deviation of it', unit: 'µs', best: 'lowest' },
  elapsedMicrosPerOp: { title: 'elapsed time per operation', unit: 'µs', best: 'lowest' },
  serverCallsPerOp: { title: 'system calls per operation', unit: '', best: 'lowest' },
  voluntarySwitchesPerOp: { title: 'context switches per operation', unit: '', best: 'lowest' },
  opsPerCoreSecond: { title: 'operations per second and core', unit: '/s', best: 'highest' },
  networkFactor: { title: 'times faster than through a client', unit: '×', best: 'highest' },
  bytesPerConnection: { title: 'memory per connection', unit: 'B', best: 'lowest' },
  overheadBytesPerKey: { title: 'bytes per key', unit: '', best: 'lowest' },
  readyMillis: { title: 'time until ready', unit: 'ms', best: 'lowest' },
};

/** The units that a figure's name may end with, longest first. */
const SUFFIXES: readonly (readonly [suffix: string, kind: Omit<FigureKind, 'title'>, words: string])[] = [
  ['BytesPerSecond', { unit: 'B/s', best: 'highest' }, 'bytes per second'],
  ['MicrosPerOp', { unit: 'µs', best: 'lowest' }, 'per operation'],
  ['PerSecond', { unit: '/s', best: 'highest' }, 'per second'],
  ['Micros', { unit: 'µs', best: 'lowest' }, ''],
  ['Millis', { unit: 'ms', best: 'lowest' }, ''],
  ['Bytes', { unit: 'B' }, ''],
  ['PerOp', { unit: '' }, 'per operation'],
  ['Share', { unit: '%' }, 'share'],
];

/** What a figure is, by its name; one that is not known says it by its ending, as all of the JSON do. */
export function kindOf(figure: string): FigureKind {
  // One of several that are counted alike, as `serverCallsPerOp.read`.
  const [all, part] = figure.split('.');
  if (part !== undefined) return { ...kindOf(all!), title: `${part}, ${kindOf(all!).title}` };
  const known = Object.hasOwn(KNOWN, figure) ? KNOWN[figure] : undefined;
  if (known !== undefined) return known;
  const [suffix, kind, words] = SUFFIXES.find(([end]) => figure.endsWith(end)) ?? ['', { unit: '' as const }, ''];
  const stem = figure.slice(0, figure.length - suffix.length);
  return { ...kind, title: [spaced(stem), words].filter((part) => part !== '').join(' ') };
}

/** Words of a name in camel case: `serverPeak` is `server peak`. */
export function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).trim();
}

const RUNTIMES: Readonly<Record<string, string>> = { node: 'Node', bun: 'Bun', deno: 'Deno' };

/** Of dimensions whose name is not what one says. */
const DIMENSION_TITLES: Readonly<Record<string, string>> = {
  batch: 'operations per frame',
  valueSize: 'length of a value',
  servers: 'server processes',
  generators: 'load generators',
  rate: 'operations due per second',
  clientTransport: 'transport of the client',
  clientRuntime: 'runtime of the client',
};

/** What an axis or a column of a dimension is called. */
export function titleOf(dimension: string): string {
  return Object.hasOwn(DIMENSION_TITLES, dimension) ? DIMENSION_TITLES[dimension]! : spaced(dimension);
}

export function runtimeTitle(runtime: string): string {
  return Object.hasOwn(RUNTIMES, runtime) ? RUNTIMES[runtime]! : runtime;
}

/** How what was measured is called, by some of its dimensions: `uring on Bun`, `uring on Bun (batch 128)`, `batch 128`. */
export function describe(dimensions: Dimensions, names: readonly string[]): string {
  const has = (name: keyof Dimensions): boolean => names.includes(name) && dimensions[name] !== undefined;
  const { runtime, transport, control, peer } = dimensions;
  const server =
    has('peer') && peer !== null
      ? [peer!]
      : has('transport') && has('runtime') && transport !== null
        ? [`${transport} on ${runtimeTitle(runtime!)}`]
        : [...(has('transport') ? [String(transport)] : []), ...(has('runtime') ? [runtimeTitle(runtime!)] : [])];
  const spoken = ['runtime', 'transport', 'control', 'peer'];
  const others = Object.entries(dimensions)
    .filter(([name, value]) => names.includes(name) && !spoken.includes(name) && value !== null)
    .map(([name, value]) => valueTitle(name, value!));
  const [name, more] = server.length > 0 ? [server.join(', '), others.join(', ')] : [others.join(', '), ''];
  const text = more === '' ? name : `${name} (${more})`;
  return has('control') && control ? `echo: ${text}` : text;
}

/** Words speak for themselves, numbers need to be told what they count. */
function valueTitle(name: string, value: string | number | boolean): string {
  if (name === 'clientTransport' || name === 'clientRuntime') return `client ${value}`;
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? spaced(name) : `no ${spaced(name)}`;
  return `${spaced(name)} ${value.toLocaleString('en')}`;
}
