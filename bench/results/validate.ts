/** Reading reports that somebody else may have written: nothing in the file is trusted. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, usageError } from '../../runtime/command/errors.ts';
import { LatencyHistogram } from '../load/latency.ts';
import { cellKey, type Report, SCHEMA_VERSION } from './report.ts';

const figure = z.number();
const summary = z
  .strictObject({ median: figure, low: figure, high: figure, min: figure, max: figure })
  .refine(({ median, low, high, min, max }) => min <= low && low <= median && median <= high && high <= max, {
    error: 'expected min <= low <= median <= high <= max',
  });
const percentiles = z.strictObject({
  p50Micros: figure,
  p90Micros: figure,
  p99Micros: figure,
  p999Micros: figure,
  p9999Micros: figure,
  maxMicros: figure,
});
const name = z.string().min(1);
const count = z.int().nonnegative();
const flag = z.boolean();

/** The dimensions that are known by name have their types; others may be added without a new version of the schema. */
const dimensions = z
  .object({
    runtime: name,
    transport: name,
    control: flag,
    batch: count,
    connections: count,
    depth: count,
    keys: count,
    valueSize: count,
    clientRuntime: name,
    clientTransport: name,
    engine: name,
    workload: name,
    phase: name,
    operation: name,
    servers: count,
    generators: count,
    fsync: name,
    shards: count,
    rate: figure.nullable(),
    peer: name.nullable(),
    store: name,
    operations: count,
    order: name,
    profiler: name,
    side: name,
  })
  .partial()
  .catchall(z.union([z.string(), z.number(), z.boolean(), z.null()]));

const round = z.looseObject({
  round: z.int().positive(),
  dimensions,
  figures: z.record(z.string(), figure),
  latency: z.base64().optional(),
  percentiles: percentiles.optional(),
});

const cell = z.looseObject({
  dimensions,
  generatorLimited: flag.optional(),
  figures: z.record(z.string(), summary),
  percentiles: percentiles.optional(),
  notes: z.record(z.string(), z.string()).optional(),
});

/** What `docs/bench.schema.json` is made of, and all that is checked but that every cell has rounds of its own. */
export const reportSchema = z.looseObject({
  schema: z.literal('ringkv-bench'),
  schemaVersion: z.literal(SCHEMA_VERSION),
  suite: name,
  startedAt: z.iso.datetime(),
  ringkv: name,
  git: z.strictObject({ revision: name, modified: flag }).nullable(),
  machine: z.strictObject({
    cpu: z.string(),
    cpus: z.int().positive(),
    governor: z.string().nullable(),
    memoryBytes: count,
    platform: z.string(),
    kernel: z.string(),
  }),
  versions: z.record(z.string(), z.string()),
  flags: z.looseObject({ rounds: z.int().positive(), seed: count }),
  skipped: z.array(z.strictObject({ label: name, reason: name })),
  interrupted: flag,
  rounds: z.array(round).min(1),
  cells: z.array(cell).min(1),
});

/** Reads a report. Throws a `CommandError` that names the file and the field when it is none, or damaged. */
export function readReport(file: string): Report {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw usageError(`${file}: ${messageOf(error)}`);
  }
  if (text.trim() === '') throw usageError(`${file}: is empty; was its run ended before anything was measured?`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw usageError(`${file}: no JSON: ${messageOf(error)}`);
  }
  const problem = reportProblem(json);
  if (problem !== undefined) throw usageError(`${file}: ${problem}`);
  return json as Report;
}

/** What is wrong with a report, the field first; undefined when nothing is. */
export function reportProblem(json: unknown): string | undefined {
  const { schema, schemaVersion } = (typeof json === 'object' && json !== null ? json : {}) as Partial<Report>;
  if (schema !== 'ringkv-bench') return 'schema: expected "ringkv-bench": this is no report of ringkv bench';
  if (schemaVersion !== SCHEMA_VERSION) {
    return `schemaVersion: expected ${SCHEMA_VERSION}, got ${JSON.stringify(schemaVersion)}: measure again with this version`;
  }
  const result = reportSchema.safeParse(json);
  if (!result.success) {
    const { path, message } = result.error.issues[0]!;
    return `${fieldName(path)}: ${message}`;
  }
  return contradiction(json as Report);
}

/** What no schema can say: cells and rounds belong together. */
function contradiction({ rounds, cells }: Report): string | undefined {
  const measured = new Set(rounds.map((one) => cellKey(one.dimensions)));
  const keys = new Map<string, number>();
  for (const [at, one] of cells.entries()) {
    const key = cellKey(one.dimensions);
    const before = keys.get(key);
    if (before !== undefined) return `cells[${at}].dimensions: the same as those of cells[${before}]`;
    if (!measured.has(key)) return `cells[${at}].dimensions: there is no round with these`;
    keys.set(key, at);
  }
  for (const [at, { latency }] of rounds.entries()) {
    if (latency === undefined) continue;
    try {
      LatencyHistogram.merged([latency]);
    } catch (error) {
      return `rounds[${at}].latency: no histogram: ${messageOf(error)}`;
    }
  }
  return undefined;
}

/** `cells[2].figures.opsPerSecond`. */
function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((field, part) => {
    if (typeof part === 'number') return `${field}[${part}]`;
    return field === '' ? String(part) : `${field}.${String(part)}`;
  }, '');
}
