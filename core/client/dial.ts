/** Getting a connection to a server: one attempt, and how long to wait before the next. */
import { ErrorCode } from '../protocol.ts';
import { ConnectionError, RingkvError, ServerError, TimeoutError } from './errors.ts';
import { Link, type LinkOwner } from './link.ts';
import { operations, type ServerHello } from './operations.ts';
import { Queue } from './queue.ts';
import { Request } from './request.ts';
import type { Connect, Timers } from './settings.ts';

/** Longest wait before the first attempt after a connection was lost; it doubles with each. Unit: milliseconds. */
export const RECONNECT_FIRST_MS = 50;

/** Longest wait before any attempt. Unit: milliseconds. */
export const RECONNECT_MAX_MS = 5000;

export interface DialOptions {
  readonly connect: Connect;
  readonly timers: Timers;
  /** How long an attempt may take until the server has answered. Unit: milliseconds. */
  readonly connectTimeoutMs: number;
  /** What the server wants to know of whom it talks to. Default: nothing. */
  readonly token?: string | undefined;
  /** What the server may call this client. Default: nothing. */
  readonly name?: string | undefined;
}

/** A link whose server has said hello. */
export interface Dialled {
  readonly link: Link;
  readonly hello: ServerHello;
}

/**
 * Connects and says hello. Rejects with a `RingkvError`: `ConnectionError` when the server can't be reached, `TimeoutError`
 * after `connectTimeoutMs`, `ServerError` when it refuses, and the signal's reason, which must be one too.
 */
export async function dial(options: DialOptions, owner: LinkOwner, signal: AbortSignal): Promise<Dialled> {
  const { connect, timers, connectTimeoutMs } = options;
  const attempt = new AbortController();
  let link = undefined as Link | undefined;
  const giveUp = (cause: RingkvError): void => {
    attempt.abort(cause);
    link?.destroy(cause);
  };
  const onAbort = (): void => giveUp(signal.reason as RingkvError);
  signal.addEventListener('abort', onAbort, { once: true });
  const cancelTimer = timers.start(connectTimeoutMs, () =>
    giveUp(new TimeoutError(`no server has answered within ${connectTimeoutMs} ms`)),
  );
  try {
    await connect((connection) => {
      link = new Link(connection, owner);
      return link;
    }, attempt.signal);
    if (link === undefined) throw new ConnectionError('the transport has opened no connection');
    const hello = await sayHello(link, options);
    // It would refuse every operation.
    if (hello.access === 'none') throw new ServerError(ErrorCode.AUTH, 'the server asks for a token');
    return { link, hello };
  } catch (error) {
    if (attempt.signal.aborted) throw attempt.signal.reason;
    const cause = error instanceof RingkvError ? error : new ConnectionError(messageOf(error), { cause: error });
    link?.destroy(cause);
    throw cause;
  } finally {
    cancelTimer();
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * How long to wait before an attempt, counted from 0: a random time from half of `RECONNECT_FIRST_MS` × 2^attempt, or of
 * `RECONNECT_MAX_MS` if that is less, to the whole of it. The chance keeps clients that lost the same server from coming
 * back all at once. Source: "equal jitter" of the AWS Architecture Blog, "Exponential Backoff And Jitter". Unit:
 * milliseconds.
 */
export function backOffMs(attempt: number): number {
  return (Math.min(RECONNECT_MAX_MS, RECONNECT_FIRST_MS * 2 ** attempt) * (1 + Math.random())) / 2;
}

function sayHello(link: Link, { token, name }: DialOptions): Promise<ServerHello> {
  return new Promise((resolve, reject) => {
    // The server may have refused already, without being asked anything.
    if (link.endCause !== undefined) throw link.endCause;
    const queue = new Queue();
    const span = queue.write(operations.hello, [{ token, name }]);
    queue.push(new Request(operations.hello, span, Infinity, resolve as (hello: unknown) => void, reject));
    link.send(queue.take(Infinity, 1)!);
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
