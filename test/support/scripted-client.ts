/**
 * A client whose server is scripted and whose time stands still, over real sockets. Whoever imports this has a new server and new
 * timers before each test.
 */
import { afterEach, beforeEach } from 'vitest';
import { Client } from '../../core/client/client.ts';
import type { RingkvError } from '../../core/client/errors.ts';
import type { ClientOptions, ClientState } from '../../core/client/settings.ts';
import { parseAddress } from '../../transports/address.ts';
import { createNodeTransport } from '../../transports/node.ts';
import { ManualTimers } from './manual-timers.ts';
import { HELLO, type ScriptedConnection, ScriptedServer } from './scripted-server.ts';

export let server: ScriptedServer;
export let timers: ManualTimers;
/** What the client said of its state. */
export let states: [ClientState, string | undefined][];
let stateWaiters: { state: ClientState; resolve: () => void }[];

beforeEach(async () => {
  server = await ScriptedServer.start();
  timers = new ManualTimers();
  states = [];
  stateWaiters = [];
});
afterEach(() => server.stop());

/** A client of that server, whose time is `timers`. */
export function open(options: Partial<ClientOptions> = {}): Promise<Client> {
  const transport = createNodeTransport();
  // The client of one test may tell of its end only while the next one runs.
  const [said, waiters] = [states, stateWaiters];
  return Client.open({
    timers,
    connect: (opened, signal) => transport.connect(parseAddress(server.address), opened, signal),
    connectShard: (url) => (opened, signal) => transport.connect(parseAddress(url), opened, signal),
    onState(state, cause) {
      said.push([state, cause?.code]);
      for (const waiter of waiters.filter((each) => each.state === state)) waiter.resolve();
    },
    ...options,
  });
}

/** A client and the server's end of its connection, past HELLO. */
export async function pair(
  options: Partial<ClientOptions> = {},
  hello: Readonly<Record<string, unknown>> = HELLO,
): Promise<[Client, ScriptedConnection]> {
  const greeted = server.greeted(hello);
  return [await open(options), await greeted];
}

/** Resolves when the client tells of this state from now on. */
export function becomes(state: ClientState): Promise<void> {
  return new Promise((resolve) => stateWaiters.push({ state, resolve }));
}

/** Has the connection lost and waits until the client knows. */
export async function lose(connection: ScriptedConnection): Promise<void> {
  const lost = becomes('reconnecting');
  connection.socket.destroy();
  await lost;
}

/** Lets the client's pause pass, the first or second unless told otherwise, and answers its HELLO. */
export async function reconnected(
  hello: Readonly<Record<string, unknown>> = HELLO,
  pauseMs = 100,
): Promise<ScriptedConnection> {
  const greeted = server.greeted(hello);
  const connected = becomes('connected');
  timers.advance(pauseMs);
  const connection = await greeted;
  await connected;
  return connection;
}

/** Fails with what it was fulfilled with. */
export async function failure(promise: Promise<unknown>): Promise<RingkvError> {
  const value = await promise.then(
    (result) => ({ result }),
    (error: RingkvError) => error,
  );
  if (value instanceof Error) return value;
  throw new Error(`not rejected, but ${JSON.stringify(value)}`);
}

/** A signal, and what aborts it. */
export function withAbort(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
