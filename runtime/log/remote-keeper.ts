/** The keeper of a log, for a shard in a thread of its own: what it asks for is done by the thread that started it. */
import type { PreparedSegment } from '../../core/log/segments.ts';
import type { SnapshotPosition } from '../../core/log/snapshot-format.ts';
import type { SnapshotFile } from '../../core/log/snapshot-write.ts';
import { errorOf, type LogFailure } from './damage.ts';
import type { KeeperTask, LogKeeper } from './keeper.ts';

export class RemoteKeeper implements LogKeeper {
  readonly #post: (id: number, task: KeeperTask) => void;
  readonly #asking = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  #tasks = 0;

  /** `post` sends a task to where it is done; `done` or `undone` is then called with its number. */
  constructor(post: (id: number, task: KeeperTask) => void) {
    this.#post = post;
  }

  prepare(index: number): Promise<PreparedSegment> {
    return this.#ask({ kind: 'prepare', index });
  }

  compact(position: SnapshotPosition): Promise<SnapshotFile> {
    return this.#ask({ kind: 'compact', position });
  }

  done(id: number, result: unknown): void {
    this.#asking.get(id)?.resolve(result as never);
    this.#asking.delete(id);
  }

  undone(id: number, failure: LogFailure): void {
    this.#asking.get(id)?.reject(errorOf(failure));
    this.#asking.delete(id);
  }

  #ask<T>(task: KeeperTask): Promise<T> {
    const id = this.#tasks++;
    return new Promise<T>((resolve, reject) => {
      this.#asking.set(id, { resolve, reject });
      this.#post(id, task);
    });
  }
}
