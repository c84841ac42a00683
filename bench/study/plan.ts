/** What a study runs: which suites, with which flags, and how long each takes. */

export interface Step {
  /** The suite's name, which its JSON is called by. */
  readonly suite: string;
  /** Flags beside `--json`. */
  readonly flags: readonly string[];
  /** What it takes on two cores. Unit: minutes. */
  readonly minutes: number;
  /** Then it is asked to end, as by Ctrl-C: what it has measured counts. Unit: minutes. */
  readonly minutesMax: number;
}

/**
 * All suites. What a reader asks first is measured first, so that a study that is ended early has the most of it. Five rounds
 * are the least from which `compare`'s rule, and so the sentences of the page, tell a difference. All budgets together are
 * less than 40 minutes.
 */
export const WHOLE: readonly Step[] = [
  step('matrix', 8, 10, '--rounds 5 --seconds 0.7 --keys 200000'),
  step('syscalls', 2, 3, '--rounds 5 --operations 500,1000,2000 --keys 20000'),
  step('blocks', 5, 6, '--rounds 5 --seconds 0.15 --sizes 64,1k,16k,64k,256k,1m,4m --operations get'),
  step('rate', 3.5, 4.5, '--rounds 1 --seconds 0.4 --keys 100000 --batches 1 --transports uring,node,bun,deno'),
  step('peers', 3, 4, '--rounds 5 --seconds 0.5 --keys 200000 --batches 1,16,128 --transports uring,node,bun,deno'),
  step('ycsb', 4, 5, '--rounds 5 --seconds 0.5 --transports uring,node,bun,deno'),
  step(
    'tcp',
    2.5,
    3.5,
    '--rounds 5 --seconds 0.2 --sizes 100,100000 --operations get,set --transports uring,node,bun,deno',
  ),
  step('direct', 3.5, 4.5, '--rounds 1 --seconds 0.3'),
  step('connections', 1.5, 2, '--rounds 1 --transports uring,node,bun,deno --connections 5000 --seconds 3'),
  step('start', 0.3, 0.7, '--rounds 10'),
];

/** The same in short, to see how it looks. */
export const QUICK: readonly Step[] = WHOLE.map(({ suite }) =>
  suite === 'start' ? step('start', 0.2, 0.5, '--rounds 3') : step(suite, 1, 2, '--quick'),
);

export const SUITE_NAMES: readonly string[] = WHOLE.map(({ suite }) => suite);

function step(suite: string, minutes: number, minutesMax: number, flags: string): Step {
  return { suite, minutes, minutesMax, flags: flags.split(' ') };
}
