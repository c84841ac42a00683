/**
 * The lock of a data directory: a file that says which process has it. Unlike the locks of the system, it works alike on
 * every runtime; what it needs is to recognise a process that is gone.
 *
 *     DIR/lock           who has the directory
 *     DIR/lock.TOKEN     the socket that the process with this token listens on: see `presence.ts`
 *     DIR/lock.next      who is about to take a lock over from one that is gone: a lock itself
 */
import { randomBytes } from 'node:crypto';
import { link, readFile, readlink, rename, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { isPresent, type Presence, showPresence } from './presence.ts';

const LOCK_NAME = 'lock';
const NEXT_SUFFIX = '.next';

/** Short, for the paths of sockets are. */
const TOKEN_BYTES = 6;

/** Attempts to take a lock that changes its holder at the same time. */
const ATTEMPTS_MAX = 10;

/** Who holds a lock. A process id alone would not do: it is used again. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** What the system has once drawn for the machine; empty where it has not. */
  readonly machine: string;
  /** Of the run of the machine, and of the container; empty where the system has none. */
  readonly boot: string;
  readonly namespace: string;
  /** When the process started, in the system's own unit; empty where it doesn't say. */
  readonly started: string;
}

/** What a lock holds. */
interface Claim extends Holder {
  /** Drawn for this lock. */
  readonly token: string;
}

/** Another process has the directory, or may have it. */
export class DirectoryLockedError extends Error {
  override readonly name = 'DirectoryLockedError';
  readonly code = 'LOCKED';
  /** The process that has it. */
  readonly pid: number;

  constructor(message: string, pid: number) {
    super(message);
    this.pid = pid;
  }
}

export interface DirectoryLock {
  /** Lets others have the directory. Twice is fine. */
  release(): Promise<void>;
}

/** Takes the lock of a directory for this process. Throws `DirectoryLockedError` when another one has it. */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = join(directory, LOCK_NAME);
  const token = randomBytes(TOKEN_BYTES).toString('hex');
  const own = JSON.stringify({ ...(await describeProcess()), token } satisfies Claim);
  // Whoever sees the lock can see that this process lives: so the socket is there before it.
  const presence = await showPresence(socketPath(directory, token));
  try {
    await take(directory, path, own, token);
  } catch (error) {
    await presence?.end();
    throw error;
  }
  return { release: () => release(path, own, presence) };
}

/** The process of this machine that has a directory; undefined when none has. */
export async function localHolder(directory: string): Promise<number | undefined> {
  const claim = parseClaim((await readText(join(directory, LOCK_NAME))) ?? '');
  if (claim === undefined) return undefined;
  return isSeenBy(await describeProcess(), claim) && (await isRunning(claim)) ? claim.pid : undefined;
}

/** Whether a process has a handler for a signal, which might end it otherwise; undefined where there is no `/proc`. */
export async function takesSignal(pid: number, signal: number): Promise<boolean | undefined> {
  const status = await readText(`/proc/${pid}/status`);
  const [, caught] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(status ?? '') ?? [];
  return caught === undefined ? undefined : ((BigInt(`0x${caught}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

async function take(directory: string, path: string, own: string, token: string): Promise<void> {
  // The lock appears with all its content, or not at all.
  const draft = `${path}.${token}.draft`;
  await writeFile(draft, own, { flag: 'wx' }).catch((error: Error) => {
    throw new Error(`can't lock ${directory}: ${error.message}`, { cause: error });
  });
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if ((await linked(draft, path)) || (await takenOver(directory, draft, path))) return;
    }
  } finally {
    await unlink(draft);
  }
  throw new DirectoryLockedError(`${directory} is being locked by others at the same time`, 0);
}

/** Whether `path` did not exist, and is the same file as `draft` now. */
async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * Puts `draft` in the place of a lock whose holder is gone, and returns whether it could. Throws when he is not gone.
 *
 * Only who has the lock beside it does so, and looks again first: of two who both saw a stale lock, the slower one must not take it
 * from the faster. Who dies in the middle of it leaves that lock, which is taken over in the same way.
 */
async function takenOver(directory: string, draft: string, path: string): Promise<boolean> {
  const stale = await readText(path);
  if (stale === undefined) return false;
  const holder = await goneHolder(directory, path, stale);
  const next = `${path}${NEXT_SUFFIX}`;
  if (!(await linked(draft, next)) && !(await takenOver(directory, draft, next))) return false;
  try {
    if ((await readText(path)) !== stale) return false;
    const copy = `${draft}.copy`;
    await link(draft, copy);
    await rename(copy, path);
  } finally {
    await unlink(next);
  }
  if (holder?.token) await unlink(socketPath(directory, holder.token)).catch(() => {});
  return true;
}

/** The holder of a lock, who is gone; undefined when the lock tells of none. Throws when he is not gone. */
async function goneHolder(directory: string, path: string, text: string): Promise<Claim | undefined> {
  // It appeared with all its content: one without any was left by a machine that has lost its power before this was durable.
  if (/^\0*$/.test(text)) return undefined;
  const claim = parseClaim(text);
  if (claim === undefined) {
    throw new DirectoryLockedError(`${path} is no lock of ringkv: remove it if no server uses ${directory}`, 0);
  }
  const { pid, host } = claim;
  const own = await describeProcess();
  const isGone = await isHolderGone(directory, own, claim);
  if (isGone === undefined) {
    throw new DirectoryLockedError(
      `${directory} is in use by process ${pid} ${whereabouts(own, claim)}, or was: remove ${path} if that server is gone`,
      pid,
    );
  }
  if (!isGone) {
    const where = isSeenBy(own, claim) ? '' : ` in another container, whose host name is ${host}`;
    throw new DirectoryLockedError(`${directory} is in use by the server with process id ${pid}${where}`, pid);
  }
  return claim;
}

/** Whether the process that holds a lock has ended; undefined when that can't be told from here. */
async function isHolderGone(directory: string, own: Holder, claim: Claim): Promise<boolean | undefined> {
  if (isSeenBy(own, claim)) return !(await isRunning(claim));
  const isThere = claim.token === '' ? undefined : await isPresent(socketPath(directory, claim.token));
  if (isThere === true) return false;
  // In a container beside this one, of which the kernel would know.
  if (isSameRun(own, claim)) return isThere === false ? true : undefined;
  // The machine has been started anew, or it is another one.
  return isSameMachine(own, claim) ? true : undefined;
}

/** Where a process is that can't be seen from here. */
function whereabouts(own: Holder, holder: Holder): string {
  if (own.host !== holder.host) return `on ${holder.host}`;
  return isSameRun(own, holder) ? 'in another container' : `on another machine that is called ${holder.host}, too`;
}

/** Whether what a process id means to `own` is what it means to the holder. */
function isSeenBy(own: Holder, holder: Holder): boolean {
  return isSameRun(own, holder) && own.namespace === holder.namespace;
}

/** Whether both are processes of one kernel. Where the run of the machine has no name, the machine's has to do. */
function isSameRun(own: Holder, holder: Holder): boolean {
  return own.boot === holder.boot && (own.boot !== '' || isSameMachine(own, holder));
}

/**
 * Whether both are processes of one machine, in whichever run of it. Of two that share a file system and are called alike their ids
 * differ; many containers have none, and then the name has to do, or none could be started again after a loss of power.
 */
function isSameMachine(own: Holder, holder: Holder): boolean {
  const haveIds = own.machine !== '' && holder.machine !== '';
  return own.host === holder.host && (!haveIds || own.machine === holder.machine);
}

async function isRunning({ pid, started }: Holder): Promise<boolean> {
  return isAlive(pid) && (await startOf(pid)) === started;
}

function parseClaim(text: string): Claim | undefined {
  try {
    const claim = JSON.parse(text) as Partial<Record<keyof Claim, unknown>> | null;
    const { pid, host, machine, boot, namespace, started, token } = claim ?? {};
    const areTexts = [host, machine, boot, namespace, started, token].every((value) => typeof value === 'string');
    // The token becomes part of a path.
    const isRight = areTexts && /^[0-9a-f]*$/.test(token as string) && Number.isInteger(pid) && (pid as number) > 0;
    return isRight ? (claim as unknown as Claim) : undefined;
  } catch {
    return undefined;
  }
}

async function release(path: string, own: string, presence: Presence | undefined): Promise<void> {
  if ((await readText(path)) === own) await unlink(path);
  await presence?.end();
}

function socketPath(directory: string, token: string): string {
  return join(directory, `${LOCK_NAME}.${token}`);
}

async function describeProcess(): Promise<Holder> {
  return {
    pid: process.pid,
    host: hostname(),
    machine: await machineId(),
    boot: (await readText('/proc/sys/kernel/random/boot_id'))?.trim() ?? '',
    namespace: await readlink('/proc/self/ns/pid').catch(() => ''),
    started: await startOf(process.pid),
  };
}

/** The id of the machine, which it keeps over its starts; see machine-id(5). */
async function machineId(): Promise<string> {
  const text = (await readText('/etc/machine-id').catch(() => undefined))?.trim() ?? '';
  // Before the first start of a system is through, it may hold something else.
  return /^[0-9a-f]{32}$/.test(text) ? text : '';
}

/** When a process started, in clock ticks since the machine did; empty where there is no `/proc`. */
async function startOf(pid: number): Promise<string> {
  const stat = (await readText(`/proc/${pid}/stat`)) ?? '';
  // The name of the program, in parentheses, may hold anything; the start is the 20th field after it (proc(5)).
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of somebody else is one, too.
    return hasCode(error, 'EPERM');
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown }).code === code;
}
