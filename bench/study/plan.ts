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

/** In flags, stands for the study's folder. */
export const FOLDER = 'FOLDER';

/** The ring, and each runtime's own sockets: where a suite has much else to vary. */
const TWO_EACH = '--transports uring,node,bun,deno';

/**
 * All suites. What a reader asks first is measured first, so that a study that is ended early has the most of it. Five rounds
 * are the least from which `compare`'s rule, and so the sentences of the page, tell a difference.
 */
export const WHOLE: readonly Step[] = [
  step('matrix', 9.4, 10.2, '--rounds 5 --seconds 0.4 --keys 100000'),
  step('syscalls', 1.7, 2, '--rounds 2 --operations 500,1000,2000 --keys 20000'),
  step('blocks', 2.9, 3.4, '--rounds 1 --seconds 0.15 --operations get'),
  step('rate', 1.6, 1.9, `--rounds 1 --seconds 0.4 --keys 100000 --batches 1 ${TWO_EACH}`),
  step('peers', 3, 3.2, `--rounds 5 --seconds 0.4 --keys 100000 --batches 1,128 ${TWO_EACH}`),
  step('ycsb', 2.6, 2.9, '--rounds 5 --seconds 0.3 --records 50000 --runtimes node,bun --transports uring,node,bun'),
  step(
    'scale',
    2,
    2.3,
    '--rounds 2 --seconds 0.4 --generators 1,2 --keys 20000 --runtimes node,bun --transports uring',
  ),
  step(
    'writes',
    1.1,
    1.3,
    '--rounds 3 --seconds 0.3 --sizes 1k,100k,1m --batches 128 --runtimes node,bun --transports uring',
  ),
  step('sweep', 1.4, 1.8, `--over connections --rounds 1 --seconds 0.3 --keys 50000 --steps 3 --batch 1 ${TWO_EACH}`),
  step('tcp', 1.8, 2, `--rounds 5 --seconds 0.1 --sizes 100k --operations get ${TWO_EACH}`),
  step('direct', 3.6, 3.8, '--rounds 1 --seconds 0.15 --engines swiss --runtimes node,bun'),
  step('log', 1.4, 1.6, '--rounds 3 --seconds 0.2 --keys 10000 --runtimes bun --transports uring'),
  step('flame', 0.9, 1.1, `--seconds 1 --out ${FOLDER}/flame`),
  step('connections', 1.7, 2, `--connections 5000 --seconds 3 ${TWO_EACH}`),
  step('start', 0.2, 0.4, '--rounds 10'),
];

/** The same in short, to see how it looks. */
export const QUICK: readonly Step[] = WHOLE.map(({ suite }) => {
  if (suite === 'start') return step(suite, 0.2, 0.5, '--rounds 3');
  return step(suite, 1, 2, suite === 'flame' ? `--quick --out ${FOLDER}/flame` : '--quick');
});

export const SUITE_NAMES: readonly string[] = WHOLE.map(({ suite }) => suite);

function step(suite: string, minutes: number, minutesMax: number, flags: string): Step {
  return { suite, minutes, minutesMax, flags: flags.split(' ') };
}
