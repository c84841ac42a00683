/**
 * Threads, the same way on every runtime. Node, Bun and Deno all have `node:worker_threads`, and what is needed here does
 * the same in all of them: a thread that throws, or leaves a rejection unhandled, is ended with its sockets closed, and so
 * is one that is terminated; the process, and the other threads, go on.
 *
 * What differs:
 * - Bun gives a thread that ended by an unhandled rejection the exit code 0, so the code says nothing alone.
 * - Deno writes what a thread throws on stderr by itself, stack and all.
 * - Deno does not end a thread that never comes back to its event loop, and says at once that it has ended any.
 * - Running out of memory for its objects ends the thread alone on Node, and the process on Deno.
 * - Node 20 runs no TypeScript, so a thread's script is a compiled one.
 */
import process from 'node:process';
import { setImmediate } from 'node:timers';
import { parentPort, Worker, workerData } from 'node:worker_threads';

/** What becomes of a thread. */
export interface WorkerHandler<Report> {
  /** The thread has posted something. */
  report(report: Report): void;
  /** The thread is gone. Once, the last call of all. The cause is what it threw, or how it ended without that. */
  ended(cause: Error): void;
}

/** A thread, as the one that started it sees it. */
export interface WorkerThread<Order> {
  /** Posts something to the thread: what `structuredClone` can copy. */
  post(order: Order): void;
  /**
   * Ends the thread, be it in an endless loop (not on Deno); one that is blocked in a foreign function, when that returns.
   * Resolves when it is gone, after `ended` was called; twice is fine.
   */
  terminate(): Promise<void>;
}

/**
 * Starts a thread that runs `script`, an absolute path, and gives it `data`. One that can't be started has ended.
 *
 * `name` is what tools show it under.
 */
export function startWorker<Data, Order, Report>(
  script: string,
  name: string,
  data: Data,
  handler: WorkerHandler<Report>,
): WorkerThread<Order> {
  let worker: Worker;
  try {
    worker = new Worker(script, { name, workerData: data });
  } catch (error) {
    setImmediate(() => handler.ended(toError(error)));
    return { post() {}, async terminate() {} };
  }
  let cause: Error | undefined;
  worker.on('message', (report: Report) => handler.report(report));
  worker.on('error', (error: unknown) => {
    cause = toError(error);
  });
  const exited = new Promise<void>((resolve) => {
    worker.once('exit', (code) => {
      resolve();
      handler.ended(cause ?? new Error(`the thread has ended with ${code}`));
    });
  });
  return {
    post: (order) => worker.postMessage(order),
    async terminate() {
      void worker.terminate();
      await exited;
    },
  };
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The thread that was started, as its script sees it. */
export interface ThisWorker<Data, Order, Report> {
  /** What it was given at its start. */
  readonly data: Data;
  post(report: Report): void;
  /** Calls `handler` for everything that is posted to it, from the first on. Keeps the thread running. */
  onOrder(handler: (order: Order) => void): void;
}

/** To be called in the script of a thread. */
export function thisWorker<Data, Order, Report>(): ThisWorker<Data, Order, Report> {
  const port = parentPort;
  if (port === null) throw new Error(`${process.argv[1]} is the script of a thread, which the server starts`);
  return {
    data: workerData as Data,
    post: (report) => port.postMessage(report),
    onOrder: (handler) => void port.on('message', handler),
  };
}
