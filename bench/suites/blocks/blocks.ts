/**
 * The suite `blocks`: how long it takes to send and to fetch blocks of growing length, by each client from each server, and what
 * that is bound by.
 *
 * Beside every pair stands its control, a bare echo, which gets blocks of the same lengths and of next to none: what a block
 * costs without a store, and what an exchange costs without a block. `attribution.ts` says what follows from them.
 *
 * Non-goal: many small operations. Every block is a frame of its own; `matrix` has batches.
 */
import { fileURLToPath } from 'node:url';
import type { Context } from '../../../runtime/command/cli.ts';
import { scriptCommand } from '../../../runtime/find.ts';
import type { RuntimeName } from '../../../runtime/runtime.ts';
import type { TransportName } from '../../../transports/transport.ts';
import { naturalTransport } from '../../../transports/transports.ts';
import { type ChosenClient, chooseClients, chooseGenerator } from '../../load/choose-generator.ts';
import { LatencyHistogram } from '../../load/latency.ts';
import { WARMUP_SHARE } from '../../load/plan.ts';
import type { Dimensions, Measured, Report } from '../../results/report.ts';
import { runSuite, type Step } from '../../results/run.ts';
import { cellLabel, type Subject, subjectLabel } from '../../servers/cell.ts';
import { Child } from '../../servers/child.ts';
import { pinned, unpinned } from '../../servers/pinning.ts';
import { selectServers } from '../../servers/select-servers.ts';
import { startEchoChild, startServerChild } from '../../servers/server.ts';
import { type Survey, survey, versionsOf } from '../../servers/survey.ts';
import { formatBlocks } from './blocks-table.ts';
import { withAttributions } from './conclude.ts';
import type { BlockMeasurement, BlockOperation, BlocksPlan } from './plan.ts';

export interface BlocksFlags {
  readonly [flag: string]: unknown;
  readonly runtimes: readonly RuntimeName[];
  /** Undefined for each runtime's own and `uring`. */
  readonly transports: readonly TransportName[] | undefined;
  readonly sizes: readonly number[];
  readonly operations: readonly BlockOperation[];
  readonly connections: number;
  readonly depth: number;
  readonly keys: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly generator: RuntimeName | undefined;
  /** Undefined for the client's runtime's own and `uring`. */
  readonly clientTransports: readonly TransportName[] | undefined;
  readonly pin: boolean;
}

export interface BlocksOptions {
  readonly flags: BlocksFlags;
  /** Whether only one client is taken when nothing is said of them. */
  readonly quick: boolean;
  /** The file for the JSON; undefined for none. */
  readonly json: string | undefined;
  readonly context: Context;
  readonly signal: AbortSignal;
}

/** One server or its control, and who asks it. All lengths are measured on the same processes. */
interface BlocksSubject extends Subject {
  readonly client: ChosenClient;
}

/** The block that is next to none: what is left is the exchange. Unit: bytes. */
export const SMALLEST_BLOCK_BYTES = 1;

/** The most that the reply to a GET has beyond its block. Unit: bytes. */
const REPLY_HEAD_BYTES_MAX = 64;

/** Resolves to the exit code. Rejects with a `CommandError` when a cell fails: its figures would be worth nothing. */
export async function blocks({ flags, quick, json, context, signal }: BlocksOptions): Promise<number> {
  const pinning = flags.pin ? pinned() : unpinned;
  const all = await survey(context, signal);
  const chosen = selectServers(all, flags.runtimes, flags.transports);
  const clientTransports = flags.clientTransports ?? defaultClientTransports(all, flags.generator, quick);
  const subjects = chosen.cells.flatMap((cell) =>
    distinct(chooseClients(all, cell.transport, { generator: flags.generator, clientTransports })).flatMap(
      (client): BlocksSubject[] => [
        { ...cell, client, control: false },
        { ...cell, client, control: true },
      ],
    ),
  );
  const measure = async (subject: BlocksSubject, { onPhase, onPhaseEnd }: Step): Promise<Measured[]> => {
    const { runtime, transport, control, client } = subject;
    onPhase('starting');
    const server = control
      ? await startEchoChild(runtime, transport, Math.max(...flags.sizes) + REPLY_HEAD_BYTES_MAX, { signal, pinning })
      : await startServerChild(runtime, context.entry, transport, { signal, pinning });
    await using serverChild = server.child;
    const plan: BlocksPlan = {
      address: server.address,
      transport: client.transport,
      control,
      connections: flags.connections,
      depth: flags.depth,
      keys: flags.keys,
      sizes: sizesOf(subject, flags),
      operations: flags.operations,
      warmupSeconds: flags.seconds * WARMUP_SHARE,
      seconds: flags.seconds,
    };
    const script = fileURLToPath(new URL('./blocks-process.js', import.meta.url));
    const command = scriptCommand(client.runtime, script, [JSON.stringify(plan)]);
    await using clientChild = new Child('the client', pinning.generator(command), signal);
    const measured: Measured[] = [];
    for (const size of plan.sizes) {
      for (const operation of plan.operations) {
        onPhase(`${operation} of ${size} bytes`);
        const measurement = await nextMeasurement(clientChild, serverChild);
        const { figures, latency } = measurement;
        const percentiles = LatencyHistogram.merged([latency]).percentiles();
        measured.push({ dimensions: dimensionsOf(subject, size, operation, flags), figures, latency, percentiles });
        onPhaseEnd();
      }
    }
    return measured;
  };
  return runSuite<BlocksSubject>({
    name: 'blocks',
    flags: { ...flags, clientTransports },
    versions: versionsOf(
      all,
      [...chosen.cells, ...subjects.map(({ client }) => client)].map(({ runtime }) => runtime),
    ),
    skipped: chosen.skipped,
    subjects,
    label: (subject) =>
      `${subjectLabel(subject)} < ${cellLabel(subject.client.transport, subject.client.runtime.name)}`,
    phases: (flags.sizes.length + 1) * flags.operations.length,
    measure,
    order: flags.operations.flatMap((operation) =>
      [SMALLEST_BLOCK_BYTES, ...flags.sizes].flatMap((size) =>
        subjects
          .filter((subject) => sizesOf(subject, flags).includes(size))
          .map((subject) => dimensionsOf(subject, size, operation, flags)),
      ),
    ),
    conclude: withAttributions,
    format: (report: Report) => formatBlocks(report, flags),
    json,
    signal,
  });
}

/** The client's runtime's own, and the ring where it works there; quickly without the ring. */
function defaultClientTransports(
  all: Survey,
  generator: RuntimeName | undefined,
  quick: boolean,
): readonly TransportName[] {
  const { name } = chooseGenerator(all, generator);
  const hasRing = all.cells.some(({ runtime, transport }) => runtime.name === name && transport === 'uring');
  return [naturalTransport(name), ...(hasRing && !quick ? ['uring' as const] : [])];
}

/** Each client once: a server that speaks WebSocket has the same for all transports. */
function distinct(clients: readonly ChosenClient[]): readonly ChosenClient[] {
  const labels = clients.map(({ transport, runtime }) => cellLabel(transport, runtime.name));
  return clients.filter((_, at) => labels.indexOf(labels[at]!) === at);
}

/** A control also gets the smallest block. */
function sizesOf({ control }: Subject, { sizes }: BlocksFlags): readonly number[] {
  return control ? [...new Set([SMALLEST_BLOCK_BYTES, ...sizes])] : sizes;
}

async function nextMeasurement(client: Child, server: Child): Promise<BlockMeasurement> {
  try {
    return JSON.parse(await client.line()) as BlockMeasurement;
  } catch (error) {
    throw new Error(`${(error as Error).message}; the server says: ${server.stderr}`, { cause: error });
  }
}

function dimensionsOf(subject: BlocksSubject, size: number, operation: BlockOperation, flags: BlocksFlags): Dimensions {
  const { runtime, transport, control, client } = subject;
  return {
    runtime: runtime.name,
    transport,
    control,
    connections: flags.connections,
    depth: flags.depth,
    keys: flags.keys,
    valueSize: size,
    clientRuntime: client.runtime.name,
    clientTransport: client.transport,
    workload: operation,
  };
}
