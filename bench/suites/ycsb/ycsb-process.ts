/**
 * The YCSB generator: a program of its own. It stores the records one by one through the protocol, which is the load phase,
 * then runs one workload after the other on them. Its argument is a `YcsbPlan`, its output a `PhaseReport` for each.
 */
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { currentRuntime } from '../../../runtime/choose.ts';
import { type Client, connect } from '../../../runtime/client.ts';
import { parseAddress } from '../../../transports/address.ts';
import { clientTransport } from '../../load/client-transport.ts';
import { orFailure } from '../../load/load.ts';
import { REPLY_TIMEOUT_MS, WATCH_INTERVAL_MS } from '../../load/peer.ts';
import type { WindowFigures } from '../../load/plan.ts';
import { infoFigures } from '../../load/server-figures.ts';
import { assertCount } from '../../load/store-keys.ts';
import { untilWarm } from '../../load/warm-up.ts';
import { figuresBetween, type Moment, takeMoment } from '../../load/window.ts';
import { LOADED_VERSION } from '../../load/workload.ts';
import { runScript, say } from '../../servers/script.ts';
import { Phase } from './phase.ts';
import { Records } from './records.ts';
import { Session } from './session.ts';
import type { OperationName, WorkloadName } from './workload-names.ts';
import { type Drawn, drawHash, OperationDraw } from './workloads.ts';
import type { OperationReport, PhaseReport, YcsbPlan } from './ycsb-plan.ts';

async function generate(plan: YcsbPlan): Promise<void> {
  const address = parseAddress(plan.address);
  const transport = clientTransport(address, plan.transport);
  const client = await connect({ address: plan.address, transport: transport.name });
  const records = new Records(plan.fields, plan.fieldBytes);
  const sessions: Session[] = [];
  while (sessions.length < plan.connections) {
    await transport.connect(address, (connection) => {
      const session = new Session(connection, records, plan.writeBack);
      sessions.push(session);
      return session;
    });
  }
  const watch = setInterval(() => {
    for (const session of sessions) session.look(REPLY_TIMEOUT_MS);
  }, WATCH_INTERVAL_MS);
  tell(await load(sessions, client, plan.records));
  for (const workload of plan.workloads) tell(await run(sessions, client, workload, plan));
  clearInterval(watch);
  for (const session of sessions) session.destroy();
  await client.close();
}

/** The whole phase is measured: there is nothing before it to warm up with. */
async function load(sessions: readonly Session[], client: Client, records: number): Promise<PhaseReport> {
  const before = await takeMoment(
    () => infoFigures(client),
    () => 0,
  );
  let next = 0;
  const draw = (): Drawn | undefined =>
    next === records ? undefined : { operation: 'insert', record: next++, version: LOADED_VERSION, field: 0 };
  const phase = new Phase(sessions, draw);
  await phase.finished;
  const figures = figuresBetween(before, await momentOf(phase, client));
  await assertCount(client, records);
  return { phase: 'load', workload: null, drawn: '', ...reportOf(phase, figures, 0) };
}

/** A share of the time goes by first under the same load, and is not measured. */
async function run(
  sessions: readonly Session[],
  client: Client,
  workload: WorkloadName,
  { records, fields, distribution, seed, warmupSeconds, seconds }: YcsbPlan,
): Promise<PhaseReport> {
  const options = { records, fields, distribution, seed };
  const draw = new OperationDraw(workload, options);
  const phase = new Phase(
    sessions,
    () => draw.next(),
    ({ operation, record }) => {
      if (operation === 'insert') draw.inserted(record);
    },
  );
  await orFailure(
    phase,
    untilWarm(() => phase.operationsDone),
  );
  await orFailure(phase, sleep(warmupSeconds * 1000));
  const before = await orFailure(phase, momentOf(phase, client));
  phase.reset();
  const lostBefore = phase.lostWrites;
  await orFailure(phase, sleep(seconds * 1000));
  const after = await orFailure(phase, momentOf(phase, client));
  const report = reportOf(phase, figuresBetween(before, after), phase.lostWrites - lostBefore);
  phase.stop();
  await phase.finished;
  await assertCount(client, draw.stored);
  return { phase: 'run', workload, drawn: drawHash(new OperationDraw(workload, options)), ...report };
}

function momentOf(phase: Phase, client: Client): Promise<Moment> {
  return takeMoment(
    () => infoFigures(client),
    () => phase.operationsDone,
  );
}

type Reported = Pick<PhaseReport, 'figures' | 'lostPerReadModifyWrite' | 'operations'>;

function reportOf(phase: Phase, figures: WindowFigures, lost: number): Reported {
  const operations: Partial<Record<OperationName, OperationReport>> = {};
  for (const [operation, { latency, moments }] of phase.recorded) {
    operations[operation] = {
      figures: {
        operations: moments.count,
        opsPerSecond: moments.count / figures.seconds,
        meanMicros: moments.mean,
        standardDeviationMicros: moments.standardDeviation,
        minMicros: moments.min,
        maxMicros: moments.max,
      },
      latency: latency.encode(),
      percentiles: latency.percentiles(),
    };
  }
  const changes = phase.recorded.get('readModifyWrite')?.moments.count;
  return { figures, lostPerReadModifyWrite: changes === undefined ? 0 : lost / changes, operations };
}

function tell(report: PhaseReport): void {
  say(JSON.stringify(report));
}

await runScript(currentRuntime(), (argument) => generate(argument as YcsbPlan));
