/** Operations, encoded one after the other into a buffer that others may share. */
import { Writer } from '../msgpack.ts';
import { ArgumentError } from './errors.ts';
import type { Operation } from './operations.ts';

/**
 * What a value has of its own, getters and `toJSON`, is called while the value is encoded, in the midst of its operation. Another
 * operation that these issue would be written there: it is refused.
 */
export class OperationWriter extends Writer {
  #isBusy = false;

  /** Appends an operation. Throws `ArgumentError`, leaving nothing of it behind. */
  operation<A extends readonly unknown[]>(operation: Operation<A, unknown>, args: A): void {
    this.checkIdle();
    const before = this.length;
    this.#isBusy = true;
    try {
      operation.write(this, ...args);
    } catch (error) {
      this.truncate(before);
      throw error;
    } finally {
      this.#isBusy = false;
    }
  }

  override clear(): void {
    this.checkIdle();
    super.clear();
  }

  /** Throws `ArgumentError` in the midst of an operation. */
  checkIdle(): void {
    if (this.#isBusy) throw new ArgumentError("a value's getter or toJSON can't issue operations while it is encoded");
  }
}
