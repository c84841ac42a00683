/** A shard in a thread of its own, as the supervisor sees it: what can be asked of it, and what became of it. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Info } from '../core/info.ts';
import type { ShardMap } from '../core/slots.ts';
import type { BlockedThread } from '../transports/transport.ts';
import { Libc, wake } from './ffi/libc.ts';
import type { ShardSettings } from './shard.ts';
import { startWorker, type WorkerThread } from './workers.ts';

/** What is posted to a shard's thread. */
export type ShardOrder =
  | { readonly kind: 'map'; readonly map: ShardMap }
  | { readonly kind: 'info'; readonly id: number }
  | { readonly kind: 'close'; readonly graceMs: number };

/** What it posts. */
export type ShardReport =
  | { readonly kind: 'listening'; readonly address: string; readonly thread: BlockedThread | undefined }
  | { readonly kind: 'mapped' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'info'; readonly id: number; readonly info: Info<string | number> }
  | { readonly kind: 'closed' };

/** What a shard may take beyond the time of grace to be closed, before its thread is ended all the same. Unit: milliseconds. */
const CLOSE_SLACK_MS = 1000;

/** The longest a timer of the runtimes can run. Unit: milliseconds. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class ShardThread {
  /** Resolves to the real address; rejects when the shard can't listen, or its thread ends before it does. */
  readonly listening: Promise<string>;
  /** Resolves when the thread is gone, to the reason. */
  readonly ended: Promise<Error>;
  readonly #thread: WorkerThread<ShardOrder>;
  /** Who asked for INFO and has no answer, by the number of the question. */
  readonly #asking = new Map<number, (info: Info<string | number>) => void>();
  #questions = 0;
  #failure: Error | undefined;
  #onClosed: (() => void) | undefined;
  #onMapped: (() => void) | undefined;
  #isClosing = false;
  /** What is needed of the thread while its transport blocks it. */
  #blocked: (BlockedThread & { readonly libc: Libc }) | undefined;

  /** `script` is the compiled `shard-worker.ts`, absolute. */
  constructor(script: string, name: string, settings: ShardSettings) {
    const listening = deferred<string>();
    const ended = deferred<Error>();
    this.listening = listening.promise;
    this.ended = ended.promise;
    // Whoever waits for it still sees the rejection; nobody has to.
    this.listening.catch(() => {});
    this.#thread = startWorker<ShardSettings, ShardOrder, ShardReport>(script, name, settings, {
      report: (report) => {
        switch (report.kind) {
          case 'listening':
            if (report.thread !== undefined) this.#blocked = { ...report.thread, libc: new Libc() };
            listening.resolve(report.address);
            return;
          case 'mapped':
            this.#onMapped?.();
            return;
          case 'failed':
            this.#failure = new Error(report.message);
            void this.#thread.terminate();
            return;
          case 'info':
            this.#asking.get(report.id)?.(report.info);
            this.#asking.delete(report.id);
            return;
          case 'closed':
            this.#onClosed?.();
        }
      },
      ended: (cause) => {
        this.#cleanUp();
        listening.reject(this.#failure ?? cause);
        ended.resolve(this.#failure ?? cause);
      },
    });
  }

  /** Tells the shard of all shards. Resolves when it knows them, or its thread has ended. */
  setMap(map: ShardMap): Promise<void> {
    return new Promise((resolve) => {
      this.#onMapped = resolve;
      void this.ended.then(() => resolve());
      this.#post({ kind: 'map', map });
    });
  }

  /** What the shard's INFO answers; undefined when its thread has ended. */
  info(): Promise<Info<string | number> | undefined> {
    const id = this.#questions++;
    return new Promise((resolve) => {
      this.#asking.set(id, resolve);
      void this.ended.then(() => resolve(undefined));
      this.#post({ kind: 'info', id });
    });
  }

  /** Closes the shard as `Listener.close` does, and ends the thread; also one that does not answer. */
  async close(graceMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(graceMs + CLOSE_SLACK_MS, TIMER_MS_MAX));
      this.#onClosed = () => {
        clearTimeout(timer);
        resolve();
      };
      void this.ended.then(this.#onClosed);
      this.#isClosing = true;
      this.#post({ kind: 'close', graceMs });
    });
    const terminated = this.#thread.terminate();
    this.#wake();
    await terminated;
  }

  #post(order: ShardOrder): void {
    this.#thread.post(order);
    this.#wake();
  }

  #wake(): void {
    if (this.#blocked !== undefined) wake(this.#blocked.libc, this.#blocked.wakeDescriptor);
  }

  /** The thread is gone, and what it left open is ours to close. What it was told to close it may have closed itself. */
  #cleanUp(): void {
    if (this.#blocked === undefined) return;
    const { libc, wakeDescriptor, descriptors, mappings } = this.#blocked;
    this.#blocked = undefined;
    libc.close(wakeDescriptor);
    if (this.#isClosing) return;
    for (const mapping of mappings) libc.unmap(mapping);
    for (const descriptor of descriptors) libc.close(descriptor);
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((resolvePromise, rejectPromise) => {
    resolve = resolvePromise;
    reject = rejectPromise;
  });
  return { promise, resolve, reject };
}
