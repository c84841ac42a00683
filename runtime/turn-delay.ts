/**
 * A server made slower on purpose, so that a benchmark can show that it finds it: `RINGKV_DEBUG_TURN_DELAY=0.2` lets its turns
 * burn 20 % more CPU time than the process uses otherwise. `docs/bench.md` documents it.
 */
import type { ServerHandler } from '../transports/transport.ts';
import type { Runtime } from './runtime.ts';

/** The environment variable: a share of CPU time, above 0 and up to `SHARE_MAX`. */
export const TURN_DELAY_VARIABLE = 'RINGKV_DEBUG_TURN_DELAY';

const SHARE_MAX = 10;

/**
 * The CPU time is looked at no more often. It takes a system call, which itself would slow down short turns by more than what
 * was asked for. Unit: milliseconds.
 */
const LOOK_EVERY_MS = 1;

/**
 * Gives the handler's turns the delay that the environment asks for; without one it is left alone, so that it costs nothing.
 * Throws `RangeError` for a value that is none.
 */
export function delayTurns(handler: ServerHandler, runtime: Runtime): void {
  const text = runtime.env[TURN_DELAY_VARIABLE];
  if (text === undefined || text === '') return;
  const share = Number(text);
  if (!(share > 0 && share <= SHARE_MAX)) {
    throw new RangeError(`${TURN_DELAY_VARIABLE} is ${text}; it must be a share above 0 and up to ${SHARE_MAX}`);
  }
  const delay = turnDelay(share, () => {
    const { userMicros, systemMicros } = runtime.cpuTime();
    return userMicros + systemMicros;
  });
  const turnEnd = handler.turnEnd.bind(handler);
  handler.turnEnd = () => {
    delay();
    return turnEnd();
  };
}

/**
 * Throws `RangeError` when the environment asks for a delay and there are several shards: each would burn the share of what all of
 * them use.
 */
export function assertDelayable(shards: number, runtime: Runtime): void {
  if (shards > 1 && runtime.env[TURN_DELAY_VARIABLE]) {
    throw new RangeError(`${TURN_DELAY_VARIABLE} takes a server of one shard; this one is to have ${shards}`);
  }
}

/**
 * What burns CPU time until it has burnt `share` of all that was used otherwise since now. Both are told by the same
 * `usedMicros`, which counts the whole process, what the transport and the kernel do for it included: so the share is true of
 * exactly what the benchmark measures.
 */
export function turnDelay(share: number, usedMicros: () => number): () => void {
  const startMicros = usedMicros();
  let burntMicros = 0;
  let lookedMs = performance.now();
  return () => {
    if (performance.now() - lookedMs < LOOK_EVERY_MS) return;
    const beganMicros = usedMicros();
    const owedMicros = share * (beganMicros - startMicros - burntMicros) - burntMicros;
    let burningMicros = 0;
    while (burningMicros < owedMicros) burningMicros = usedMicros() - beganMicros;
    burntMicros += burningMicros;
    lookedMs = performance.now();
  };
}
