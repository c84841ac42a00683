/**
 * The lock of a data directory: a file that says which process has it. Unlike the locks of the system, it works alike on
 * every runtime and every file system; what it needs is to recognise a process that is gone.
 */
import { randomUUID } from 'node:crypto';
import { link, readFile, readlink, rename, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const LOCK_NAME = 'lock';

/** Attempts to take a lock that changes its owner at the same time. */
const ATTEMPTS_MAX = 10;

/** Who holds a lock. A process id alone would not do: it is used again. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Of the run of the machine, and of the container; empty where the system has none. */
  readonly boot: string;
  readonly namespace: string;
  /** When the process started, in the system's own unit; empty where it doesn't say. */
  readonly started: string;
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
  const own = JSON.stringify({ ...(await describeProcess()), token: randomUUID() });
  // The lock appears with all its content, or not at all.
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, own);
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if ((await linked(draft, path)) || (await takenOver(directory, draft, path))) {
        return { release: () => release(path, own) };
      }
    }
  } finally {
    await unlink(draft);
  }
  throw new DirectoryLockedError(`${directory} is being locked by others at the same time`, 0);
}

/** The process of this machine that has a directory; undefined when none has. */
export async function localHolder(directory: string): Promise<number | undefined> {
  const holder = parseHolder((await readText(join(directory, LOCK_NAME))) ?? '');
  if (holder === undefined) return undefined;
  const own = await describeProcess();
  const isHere = holder.host === own.host && holder.boot === own.boot && holder.namespace === own.namespace;
  return isHere && isAlive(holder.pid) && (await startOf(holder.pid)) === holder.started ? holder.pid : undefined;
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
 * Puts `draft` in the place of a lock whose holder is gone, and returns whether it could. Throws when he is not gone. One at a
 * time does so, who has the second lock: of two who both saw a stale lock, the slower one must not take it from the faster.
 */
async function takenOver(directory: string, draft: string, path: string): Promise<boolean> {
  await checkGone(directory, path);
  const second = `${path}.second`;
  if (!(await linked(draft, second))) {
    await checkGone(directory, second);
    await unlink(second).catch(() => {});
    return false;
  }
  try {
    await checkGone(directory, path);
    const copy = `${draft}.copy`;
    await link(draft, copy);
    await rename(copy, path);
    return true;
  } finally {
    await unlink(second).catch(() => {});
  }
}

/** Throws when the holder of a lock is not gone. */
async function checkGone(directory: string, path: string): Promise<void> {
  const text = await readText(path);
  // It appeared with all its content: one without any was left by a machine that has lost its power before this was durable.
  if (text === undefined || /^\0*$/.test(text)) return;
  const holder = parseHolder(text);
  if (holder === undefined) {
    throw new DirectoryLockedError(`${path} is no lock of ringkv: remove it if no server uses ${directory}`, 0);
  }
  const { pid, host, boot, namespace, started } = holder;
  const own = await describeProcess();
  if (host !== own.host) {
    throw new DirectoryLockedError(
      `${directory} is in use by process ${pid} on ${host}, or was: remove ${path} if that server is gone`,
      pid,
    );
  }
  const isSameMachine = boot === own.boot && namespace === own.namespace;
  if (isSameMachine && isAlive(pid) && (await startOf(pid)) === started) {
    throw new DirectoryLockedError(`${directory} is in use by the server with process id ${pid}`, pid);
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Partial<Record<keyof Holder, unknown>> | null;
    const { pid, host, boot, namespace, started } = holder ?? {};
    const areTexts = [host, boot, namespace, started].every((value) => typeof value === 'string');
    return Number.isInteger(pid) && (pid as number) > 0 && areTexts ? (holder as unknown as Holder) : undefined;
  } catch {
    return undefined;
  }
}

async function release(path: string, own: string): Promise<void> {
  if ((await readText(path)) === own) await unlink(path);
}

async function describeProcess(): Promise<Holder> {
  return {
    pid: process.pid,
    host: hostname(),
    boot: (await readText('/proc/sys/kernel/random/boot_id'))?.trim() ?? '',
    namespace: await readlink('/proc/self/ns/pid').catch(() => ''),
    started: await startOf(process.pid),
  };
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
