/** Several operations that travel, and run, as one. */
import { ArgumentError } from './errors.ts';
import { type CallOptions, Methods, type Options, type Returned, type Way } from './methods.ts';
import { OperationWriter } from './operation-writer.ts';
import type { Operation } from './operations.ts';

/** Runs operations that were encoded to these bytes, one after the other. */
export type BatchRunner<W extends Way> = <T extends unknown[]>(
  all: readonly Operation<never, unknown>[],
  bytes: Uint8Array,
  options?: CallOptions,
) => Returned<T, [], W>[W];

/**
 * Operations are added in the order in which they are to run, then `send` runs them: in one frame, with no operation of
 * anybody else between them. They are no transaction: when one fails, the others are done nevertheless.
 *
 * ```ts
 * const [name, visits] = await client.batch().get<string>('name').add('visits', 1).send();
 * ```
 *
 * The type of the results grows with each method. Where a loop adds them, say it beforehand:
 *
 * ```ts
 * const batch = client.batch<(string | undefined)[]>();
 * for (const key of keys) batch.get<string>(key);
 * const values = await batch.send();
 * ```
 *
 * The methods encode at once: they throw `ArgumentError`, and what is changed afterwards is not sent.
 */
export class Batch<W extends Way, T extends unknown[] = []> extends Methods<'batch', T, W> {
  readonly #run: BatchRunner<W>;
  readonly #operations: Operation<never, unknown>[] = [];
  readonly #writer = new OperationWriter();
  #sent = false;

  constructor(run: BatchRunner<W>) {
    super();
    this.#run = run;
  }

  /** How many operations were added. */
  get size(): number {
    return this.#operations.length;
  }

  /**
   * Runs the operations and gives their results, in order. When some failed, that is a `BatchError`, whose `results` has
   * what the others gave. A batch is sent once.
   */
  send(...[options]: Options[W]): Returned<T, [], W>[W] {
    this.#checkOpen();
    this.#writer.checkIdle();
    this.#sent = true;
    return this.#run<T>(this.#operations, this.#writer.view(), options);
  }

  protected override run<A extends readonly unknown[], R>(
    operation: Operation<A, R>,
    args: A,
  ): Returned<R, T, W>['batch'] {
    this.#checkOpen();
    this.#writer.operation(operation, args);
    this.#operations.push(operation);
    return this as unknown as Batch<W, [...T, R]>;
  }

  #checkOpen(): void {
    if (this.#sent) throw new ArgumentError('the batch was sent already');
  }
}
