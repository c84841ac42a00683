/** Reports of the benchmark made up for tests: what each cell measured in each round, and all that follows from it. */
import { type Dimensions, type Report, SCHEMA_VERSION, summarizeRounds } from '../../bench/results/report.ts';

/** What one cell measured: a value of each figure for each round. */
export interface Made {
  readonly dimensions: Dimensions;
  readonly figures: Readonly<Record<string, readonly number[]>>;
  readonly notes?: Readonly<Record<string, string>>;
}

export function reportOf(suite: string, made: readonly Made[], own: Partial<Report> = {}): Report {
  const count = Math.max(...made.flatMap(({ figures }) => Object.values(figures).map(({ length }) => length)));
  const rounds = Array.from({ length: count }, (_, at) => at).flatMap((at) =>
    made.map(({ dimensions, figures }) => ({
      round: at + 1,
      dimensions,
      figures: Object.fromEntries(Object.entries(figures).map(([name, values]) => [name, values[at]!])),
    })),
  );
  return {
    schema: 'ringkv-bench',
    schemaVersion: SCHEMA_VERSION,
    suite,
    startedAt: '2026-11-24T10:00:00.000Z',
    ringkv: '0.1.0',
    git: { revision: '0123456789abcdef0123456789abcdef01234567', modified: false },
    machine: {
      cpu: 'Made Up',
      cpus: 2,
      governor: null,
      memoryBytes: 8 * 2 ** 30,
      platform: 'linux/x64',
      kernel: '6.1.0',
    },
    versions: { node: '20.20.2' },
    flags: { rounds: count, seed: 1 },
    skipped: [],
    interrupted: false,
    rounds,
    cells: summarizeRounds(rounds).map((cell, at) => {
      const { notes } = made[at]!;
      return notes === undefined ? cell : { ...cell, notes };
    }),
    ...own,
  };
}

/** So many rounds around a value, each a little beside it: the same for the same value. */
export function around(value: number, rounds = 7): readonly number[] {
  return Array.from({ length: rounds }, (_, at) => value * (1 + ((at * 37) % 7) / 1000));
}
