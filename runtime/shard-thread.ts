/** A shard in a thread of its own, as the supervisor sees it: what can be asked of it, and what became of it. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Info } from '../core/info.ts';
import type { ShardMap } from '../core/slots.ts';
import { TIMER_MS_MAX } from '../transports/serving.ts';
import type { BlockedThread } from '../transports/transport.ts';
import { Libc, wake } from './ffi/libc.ts';
import { failureOf, type LogFailure } from './log/damage.ts';
import type { DirectoryKeeper, KeeperTask } from './log/keeper.ts';
import type { Secrets, ShardSettings } from './shard.ts';
import { startWorker, type WorkerThread } from './workers.ts';

/** What is posted to a shard's thread. */
export type ShardOrder =
  | { readonly kind: 'map'; readonly map: ShardMap }
  | { readonly kind: 'info'; readonly id: number }
  | { readonly kind: 'secrets'; readonly id: number; readonly secrets: Secrets }
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'undone'; readonly id: number; readonly failure: LogFailure }
  | { readonly kind: 'close'; readonly graceMs: number };

/** What it posts. */
export type ShardReport =
  | { readonly kind: 'listening'; readonly address: string; readonly thread: BlockedThread | undefined }
  | { readonly kind: 'mapped' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'info'; readonly id: number; readonly info: Info<string | number> }
  | { readonly kind: 'secrets'; readonly id: number; readonly refusal: string | undefined }
  | { readonly kind: 'task'; readonly id: number; readonly task: KeeperTask }
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'syncing' }
  /** `failure` is the message of what its close has thrown. */
  | { readonly kind: 'closed'; readonly failure: string | undefined };

/** Those that answer a question. */
type ShardAnswer = Extract<ShardReport, { readonly kind: 'info' | 'secrets' }>;

/** How long a shard may take to answer before it is gone on without it. Unit: milliseconds. */
export const ANSWER_TIMEOUT_MS = 2000;

/** What a shard may take beyond the time of grace to be closed, before its thread is ended all the same. Unit: milliseconds. */
const CLOSE_SLACK_MS = 1000;

/** What the disk may take to make the log durable, once nobody is connected any more. Unit: milliseconds. */
const SYNC_MAX_MS = 60_000;

/** What is done for a shard outside of its thread. */
export interface ShardThreadServices {
  /** For its log, if it has one. */
  readonly keeper?: DirectoryKeeper | undefined;
  /** Told, in one line, of what an operator has to know. */
  readonly report: (line: string) => void;
}

export class ShardThread {
  /** Resolves to the real address; rejects when the shard can't listen, or its thread ends before it does. */
  readonly listening: Promise<string>;
  /** Resolves when the thread is gone, to the reason. */
  readonly ended: Promise<Error>;
  readonly #name: string;
  readonly #thread: WorkerThread<ShardOrder>;
  /** Who asked something and has no answer, by the number of the question. */
  readonly #asking = new Map<number, (answer: ShardAnswer | undefined) => void>();
  #questions = 0;
  #failure: Error | undefined;
  /** Who expects a report, by its kind. */
  readonly #expecting = new Map<ShardReport['kind'], (report: ShardReport | undefined) => void>();
  #hasEnded = false;
  /** It was told to close and did not, so it may be in the middle of anything. */
  #isStuck = false;
  /** What is needed of the thread while its transport blocks it. */
  #blocked: (BlockedThread & { readonly libc: Libc }) | undefined;

  /** `script` is the compiled `shard-worker.ts`, absolute. */
  constructor(script: string, name: string, settings: ShardSettings, services: ShardThreadServices) {
    this.#name = name;
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
          case 'failed':
            this.#failure = new Error(report.message);
            void this.#thread.terminate();
            return;
          case 'info':
          case 'secrets':
            this.#asking.get(report.id)?.(report);
            return;
          case 'task':
            void this.#do(report.id, services.keeper!.do(report.task));
            return;
          case 'line':
            services.report(report.line);
            return;
          case 'mapped':
          case 'syncing':
          case 'closed':
            this.#expecting.get(report.kind)?.(report);
        }
      },
      ended: (cause) => {
        this.#hasEnded = true;
        this.#cleanUp();
        for (const answer of this.#asking.values()) answer(undefined);
        for (const expected of this.#expecting.values()) expected(undefined);
        listening.reject(this.#failure ?? cause);
        ended.resolve(this.#failure ?? cause);
      },
    });
  }

  /** Tells the shard of all shards. Resolves when it knows them, or its thread has ended. */
  async setMap(map: ShardMap): Promise<void> {
    if (this.#hasEnded) return;
    const mapped = this.#expect('mapped');
    this.#post({ kind: 'map', map });
    await mapped;
  }

  /** What the shard's INFO answers; undefined when its thread has ended, or does not answer within `ANSWER_TIMEOUT_MS`. */
  async info(): Promise<Info<string | number> | undefined> {
    const answer = await this.#ask((id) => ({ kind: 'info', id }));
    return answer?.kind === 'info' ? answer.info : undefined;
  }

  /**
   * Gives the shard others than before. Rejects when it can't use them, and has those that it had. Who has not answered within
   * `ANSWER_TIMEOUT_MS` has much to do, and takes them then.
   */
  async setSecrets(secrets: Secrets): Promise<void> {
    const answer = await this.#ask((id) => ({ kind: 'secrets', id, secrets }));
    if (answer?.kind === 'secrets' && answer.refusal !== undefined) throw new Error(answer.refusal);
  }

  /**
   * Closes the shard as `OpenShard.close` does, and ends the thread; also one that does not answer in time, or whose disk does
   * not. Once this is over its ring is closed, which the kernel frees a moment later, with its port. Rejects with an `Error` when the
   * thread has died meanwhile, and when the log was not made durable.
   */
  async close(graceMs: number): Promise<void> {
    if (this.#hasEnded) return;
    const failure = await this.#closeShard(graceMs);
    const terminated = this.#thread.terminate();
    this.#wake();
    await terminated;
    if (failure !== undefined) throw new Error(failure);
  }

  /** Resolves when the shard is closed, or not waited for any longer, to what went wrong. */
  async #closeShard(graceMs: number): Promise<string | undefined> {
    const closed = this.#expect('closed');
    const syncing = this.#expect('syncing');
    this.#post({ kind: 'close', graceMs });
    const first = await within(graceMs + CLOSE_SLACK_MS, Promise.race([closed, syncing]));
    const last = first !== 'late' && first?.kind === 'syncing' ? await within(SYNC_MAX_MS, closed) : first;
    if (last === 'late') {
      this.#isStuck = true;
      return first === 'late'
        ? undefined
        : `${this.#name} is ended though its log was not made durable within ${SYNC_MAX_MS / 1000} s: what was not synced ` +
            'is lost if the power fails now';
    }
    if (last === undefined) return `${this.#name} has died while it was closed: ${(await this.ended).message}`;
    return last.kind === 'closed' ? last.failure : undefined;
  }

  /** Begins a snapshot of everything up to now. */
  snapshot(): void {
    if (!this.#hasEnded) this.#post({ kind: 'snapshot' });
  }

  /** The next report of a kind that nobody else expects; undefined when the thread ends before. */
  #expect<Kind extends ShardReport['kind']>(
    kind: Kind,
  ): Promise<Extract<ShardReport, { readonly kind: Kind }> | undefined> {
    return new Promise((resolve) => {
      this.#expecting.set(kind, resolve as (report: ShardReport | undefined) => void);
    });
  }

  async #do(id: number, task: Promise<unknown>): Promise<void> {
    const order: ShardOrder = await task.then(
      (result) => ({ kind: 'done', id, result }),
      (error: unknown) => ({ kind: 'undone', id, failure: failureOf(error) }),
    );
    if (!this.#hasEnded) this.#post(order);
  }

  /** Undefined when the thread has ended, or does not answer in time. */
  async #ask(order: (id: number) => ShardOrder): Promise<ShardAnswer | undefined> {
    if (this.#hasEnded) return undefined;
    const id = this.#questions++;
    return new Promise((resolve) => {
      const answer = (given: ShardAnswer | undefined): void => {
        clearTimeout(timer);
        this.#asking.delete(id);
        resolve(given);
      };
      const timer = setTimeout(answer, ANSWER_TIMEOUT_MS, undefined);
      this.#asking.set(id, answer);
      this.#post(order(id));
    });
  }

  #post(order: ShardOrder): void {
    this.#thread.post(order);
    this.#wake();
  }

  #wake(): void {
    if (this.#blocked !== undefined) wake(this.#blocked.libc, this.#blocked.wakeDescriptor);
  }

  /** The thread is gone, and what it was blocked with is ours, closed or not. */
  #cleanUp(): void {
    if (this.#blocked === undefined) return;
    const { libc, wakeDescriptor, descriptors, mappings } = this.#blocked;
    this.#blocked = undefined;
    for (const mapping of mappings) {
      // Deno says that a thread has ended while it may run on, which would then end the process with SIGSEGV.
      if (this.#isStuck) libc.vacate(mapping);
      else libc.unmap(mapping);
    }
    for (const descriptor of [...descriptors, wakeDescriptor]) libc.close(descriptor);
  }
}

/** What a promise resolves to; `late` when that takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), Math.min(ms, TIMER_MS_MAX));
  });
  const first = await Promise.race([promise, late]);
  clearTimeout(timer);
  return first;
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
