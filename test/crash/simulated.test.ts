/** Power losses, kills and failures of a simulated disk: whatever was acknowledged is there, and nothing else is. */
import { expect, test } from 'vitest';
import { oracle, subject } from '../support/engines.ts';
import { Simulation, type SimulationOptions } from '../support/log-simulation.ts';

/** How many runs; more with `SEEDS=100000 npx vitest run test/crash`. A failure tells its seed: `SEED=17` replays it alone. */
const SEEDS = Number(process.env.SEEDS ?? 10_000);
const FIRST = Number(process.env.SEED ?? 0);
const COUNT = process.env.SEED === undefined ? SEEDS : 1;

/** Every so many runs have the engine `swiss`, which takes longer to make. */
const SWISS_EVERY = 50;

async function run(options: SimulationOptions): Promise<Simulation['counts']> {
  const simulation = new Simulation(options);
  try {
    await simulation.run();
  } catch (error) {
    throw new Error(`seed ${options.seed}: ${(error as Error).message}`, { cause: error });
  }
  return simulation.counts;
}

test(`${COUNT} runs lose nothing that was acknowledged`, { timeout: 900_000 }, async () => {
  const counts: Record<string, number> = {};
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const engine = seed % SWISS_EVERY === 0 ? subject : oracle;
    for (const [name, count] of Object.entries(await run({ seed, engine }))) counts[name] = (counts[name] ?? 0) + count;
  }
  if (COUNT > 1) for (const [name, count] of Object.entries(counts)) expect(count, name).toBeGreaterThan(COUNT / 100);
});

test.each([
  ['syncs of files', { skipsSync: true }],
  ['syncs of the directory', { skipsDirectorySync: true }],
])('a log without %s is found out', async (_, bugs) => {
  const seeds = Array.from({ length: 100 }, (_, seed) => seed);
  const runs = seeds.map((seed) =>
    run({ seed, engine: oracle, bugs }).then(
      () => 'passed',
      () => 'failed',
    ),
  );
  expect((await Promise.all(runs)).filter((outcome) => outcome === 'failed').length).toBeGreaterThan(10);
});
