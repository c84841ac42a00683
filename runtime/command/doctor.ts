/**
 * `ringkv doctor`: which runtimes are here and which transports work in each. Nothing is inferred: every cell starts a
 * server in that runtime and sends it a PING.
 */
import { execFile } from 'node:child_process';
import { release, type } from 'node:os';
import process from 'node:process';
import type { Transport, TransportName } from '../../transports/transport.ts';
import { createTransport } from '../../transports/transports.ts';
import { probe as probeRing } from '../../transports/uring/probe.ts';
import { connect } from '../client.ts';
import { autoTransport } from '../endpoint.ts';
import { type FoundRuntime, findRuntime, runtimeVersion, scriptCommand } from '../find.ts';
import { isNewEnough, oldestVersion } from '../package.ts';
import type { RuntimeName } from '../runtime.ts';
import { startServer } from '../server.ts';
import type { Context } from './cli.ts';
import { TRANSPORT_NAMES } from './commands.ts';
import { ExitCode, messageOf } from './errors.ts';
import { formatTable } from './table.ts';

/** How long a runtime may take to start and try its transports. Unit: milliseconds. */
const PROBE_TIMEOUT_MS = 30_000;

export interface TransportReport {
  readonly name: TransportName;
  readonly works: boolean;
  /** Why it does not work, and what would help; null when it works. */
  readonly problem: string | null;
}

export interface RuntimeReport {
  readonly name: RuntimeName;
  /** The oldest version that will do. */
  readonly needs: string;
  /** Its program file; null when there is none. */
  readonly path: string | null;
  readonly version: string | null;
  /** Why it can't be used, and what would help; null when it can. */
  readonly problem: string | null;
  /** Empty when the runtime can't be used. */
  readonly transports: readonly TransportReport[];
  /** What `serve` takes by itself; null when the runtime can't be used. */
  readonly auto: TransportName | null;
  /** How io_uring is set up; null when there is none. */
  readonly ring: string | null;
}

/** Prints the reports of the runtimes named. Resolves to the exit code: 0 when something works. */
export async function doctor(names: readonly RuntimeName[], json: boolean, context: Context): Promise<number> {
  const reports: RuntimeReport[] = [];
  for (const name of names) reports.push(await examine(name, context));
  process.stdout.write(json ? `${JSON.stringify({ runtimes: reports }, null, 2)}\n` : formatReports(reports));
  const anyWorks = reports.some(({ transports }) => transports.some(({ works }) => works));
  return anyWorks ? ExitCode.OK : ExitCode.FAILED;
}

async function examine(name: RuntimeName, context: Context): Promise<RuntimeReport> {
  const unusable = {
    name,
    needs: oldestVersion(name),
    path: null,
    version: null,
    transports: [],
    auto: null,
    ring: null,
  };
  const found = findRuntime(name, context.runtime);
  if (found === undefined) {
    return { ...unusable, problem: `neither in node_modules/.bin nor on PATH; "npm install ${name}" brings it` };
  }
  const path = found.executable;
  try {
    const version = await runtimeVersion(found);
    if (!isNewEnough(name, version)) {
      return { ...unusable, path, version, problem: `too old; "npm install ${name}" brings a newer one` };
    }
    if (name !== context.runtime.name) return await examineElsewhere(found, context);
    const transports = await probeTransports();
    const { name: auto } = autoTransport(name);
    return { ...unusable, path, version, problem: null, transports, auto, ring: probeRing().setup?.name ?? null };
  } catch (error) {
    return { ...unusable, path, problem: messageOf(error) };
  }
}

/** Another runtime examines itself. When nothing works there it ends with 1, and its report says why. */
async function examineElsewhere(found: FoundRuntime, context: Context): Promise<RuntimeReport> {
  const [program, ...args] = scriptCommand(found, context.entry, ['doctor', '--runtime', found.name, '--json']);
  const stdout = await new Promise<string>((resolve, reject) => {
    execFile(program, args, { timeout: PROBE_TIMEOUT_MS }, (error, output, stderr) => {
      if (output !== '') resolve(output);
      else reject(new Error(firstLine(stderr) ?? error?.message ?? 'said nothing'));
    });
  });
  const { runtimes } = JSON.parse(stdout) as { readonly runtimes: readonly [RuntimeReport] };
  return runtimes[0];
}

async function probeTransports(): Promise<TransportReport[]> {
  const reports: TransportReport[] = [];
  for (const name of TRANSPORT_NAMES) {
    const problem = await probe(name);
    reports.push({ name, works: problem === null, problem });
  }
  return reports;
}

/** Serves one PING over loopback. Resolves to what went wrong, or null. */
async function probe(transport: TransportName): Promise<string | null> {
  const made = createTransport(transport);
  const availability = made.availability();
  if (!availability.available) return `it ${availability.reason}; ${availability.remedy}`;
  try {
    await using server = await startServer({ listen: anyPort(made), transport });
    await using client = await connect({ address: server.address, transport });
    const answer = await client.ping('works');
    return answer === 'works' ? null : `answered ${JSON.stringify(answer)} to a PING`;
  } catch (error) {
    return messageOf(error);
  }
}

/** A free port of loopback, at an address of a kind that the transport serves. */
function anyPort({ addressKinds }: Transport): string {
  return addressKinds.includes('ws') ? 'ws://127.0.0.1:0' : 'tcp://127.0.0.1:0';
}

function firstLine(text: string): string | undefined {
  return text.split('\n').find((line) => line.trim() !== '');
}

// The page

function formatReports(reports: readonly RuntimeReport[]): string {
  const runtimes = formatTable([
    ['runtime', 'version', 'needs', 'program'],
    ...reports.map(({ name, version, needs, path, problem }) => [
      name,
      version ?? '-',
      `>=${needs}`,
      path ?? problem ?? '',
    ]),
  ]);
  const cells = formatTable([
    ['transport', ...reports.map(({ name }) => `on ${name}`)],
    ...TRANSPORT_NAMES.map((transport) => [transport, ...reports.map((report) => cellOf(report, transport))]),
    ['auto', ...reports.map(({ auto }) => auto ?? '-')],
  ]);
  const rings = new Set(reports.flatMap(({ ring }) => (ring === null ? [] : [ring])));
  const kernel = `${type()} ${release()}; io_uring: ${[...rings].join('; ') || 'none'}\n`;
  const problems = reports.flatMap(({ name, path, problem, transports }) => [
    ...(problem === null || path === null ? [] : [`${name}: ${problem}`]),
    ...transports.flatMap((transport) =>
      transport.problem === null ? [] : [`${transport.name} on ${name}: ${transport.problem}`],
    ),
  ]);
  return [
    runtimes,
    cells,
    kernel,
    ...(problems.length === 0 ? [] : [problems.map((line) => `${line}\n`).join('')]),
  ].join('\n');
}

function cellOf({ transports }: RuntimeReport, name: TransportName): string {
  const report = transports.find((transport) => transport.name === name);
  if (report === undefined) return '-';
  return report.works ? 'works' : 'no';
}
