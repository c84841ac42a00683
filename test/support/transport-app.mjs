/**
 * A server and a client that know only the contract of a transport, for the conformance suite. Plain JavaScript, because
 * it runs under every runtime as it is; run as a script it takes commands on stdin and tells events on stdout:
 *
 *     transport-app.mjs TRANSPORT serve ADDRESS [CERTIFICATE KEY]
 *     transport-app.mjs TRANSPORT connect ADDRESS SCENARIO
 */
import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const FLOOD_BYTES = 32 * 1024 * 1024;
/** Size of a step. It fits what a transport may stage for one write. */
const STEP_BYTES = 50_000;

const ECHO_HIGH_WATER_BYTES = 256 * 1024;

/** The bytes that a flood sends, or a part of them. */
export function floodBytes(from = 0, to = FLOOD_BYTES) {
  const bytes = new Uint8Array(to - from);
  for (let i = from; i < to; i++) bytes[i - from] = (i * 31 + (i >>> 12)) & 0xff;
  return bytes;
}

/**
 * Listens, and treats each connection as its first byte says:
 * - `e` echo: sends back what came, when the turn ends; ends when the peer has ended
 * - `h` half-close: sends `bye`, ends, and goes on receiving
 * - `d` destroys the connection at once
 * - `p` pauses reading until the command `resume`; ends when the peer has ended
 * - `f` flood: sends `floodBytes()` at once; ends when the peer has ended
 * - `s` steps: sends the same in pieces, each when the one before has left; ends when the peer has ended
 */
export async function startApp(transport, address, formatAddress, print, tls) {
  const sessions = new Map();
  const turn = new Set();
  let opened = 0;
  let received = 0;
  let ticks = 0;

  const app = {
    open(connection) {
      const id = ++opened;
      const session = { connection, mode: '', echo: [], peerEnded: false, steps: 0 };
      sessions.set(id, session);
      const settle = () => {
        if (session.mode === 'e' && session.peerEnded && session.echo.length === 0) connection.end();
      };
      session.flush = () => {
        for (const bytes of session.echo) connection.send(bytes);
        session.echo = [];
        if (connection.pendingBytes > ECHO_HIGH_WATER_BYTES) connection.pauseReading();
        settle();
      };
      const step = () => {
        const from = session.steps++ * STEP_BYTES;
        if (from < FLOOD_BYTES) connection.send(floodBytes(from, Math.min(from + STEP_BYTES, FLOOD_BYTES)));
      };
      // Each step ends in one `drain`, or none when the kernel took it at once.
      const steps = () => {
        do step();
        while (connection.pendingBytes === 0 && session.steps * STEP_BYTES < FLOOD_BYTES);
      };
      return {
        data(bytes) {
          if (session.peerEnded) print(`WRONG data after end on ${id}`);
          let from = 0;
          if (session.mode === '') {
            session.mode = String.fromCharCode(bytes[0]);
            from = 1;
            if (session.mode === 'h') {
              connection.send(new TextEncoder().encode('bye'));
              connection.end();
              connection.end();
            } else if (session.mode === 'd') {
              connection.destroy();
              connection.destroy();
            } else if (session.mode === 'p') {
              connection.pauseReading();
              connection.pauseReading();
            } else if (session.mode === 'f') {
              const bytesToSend = floodBytes();
              connection.send(bytesToSend);
              // They were borrowed until `send` returned: what is still to leave must not be seen to change.
              bytesToSend.fill(0);
              print(`pending ${connection.pendingBytes}`);
            } else if (session.mode === 's') steps();
          }
          received += bytes.length - from;
          if (session.mode === 'e') session.echo.push(bytes.slice(from));
          turn.add(session);
        },
        drain() {
          if (connection.pendingBytes !== 0) print(`WRONG drain with ${connection.pendingBytes} pending on ${id}`);
          if (session.mode === 'f') print('drain');
          else if (session.mode === 's') steps();
          else if (session.mode === 'e') connection.resumeReading();
        },
        end() {
          if (session.peerEnded) print(`WRONG second end on ${id}`);
          session.peerEnded = true;
          if (['', 'f', 'p', 's'].includes(session.mode)) connection.end();
          settle();
          print(`end ${id} mode ${session.mode}`);
        },
        close(error) {
          if (!sessions.delete(id)) print(`WRONG second close on ${id}`);
          turn.delete(session);
          print(`close ${id} mode ${session.mode} ${error === undefined ? 'clean' : error.code}`);
        },
      };
    },
    turnEnd() {
      for (const session of turn) if (session.mode === 'e') session.flush();
      turn.clear();
    },
    tick() {
      ticks++;
    },
  };

  const listener = await transport.listen(address, app, tls);
  print(`listening ${formatAddress(listener.address)}`);
  return {
    /** `stats`, `resume`, `listen` (again, at the same address), `close GRACE_MS`. */
    async command(line) {
      const [name, argument] = line.split(' ');
      if (name === 'stats') {
        let descriptors = 0;
        try {
          descriptors = readdirSync('/proc/self/fd').length;
        } catch {
          // Only Linux tells.
        }
        print(`stats ${JSON.stringify({ open: sessions.size, received, descriptors, ticks })}`);
      } else if (name === 'resume') {
        for (const { connection, mode } of sessions.values()) if (mode === 'p') connection.resumeReading();
      } else if (name === 'listen') {
        await transport.listen(listener.address, app, tls).then(
          () => print('WRONG listens twice'),
          (error) => print(`refused ${error.code} ${error.message}`),
        );
      } else if (name === 'close') {
        const first = listener.close(Number(argument));
        if (listener.close(0) !== first) print('WRONG second close is another promise');
        await first;
        print(`closed ${sessions.size}`);
      } else print(`WRONG command ${line}`);
    },
  };
}

/** Connects and plays a scenario; resolves to a line that says how it went. */
export async function playScenario(transport, address, scenario) {
  let settle;
  const result = new Promise((resolve) => {
    settle = resolve;
  });
  const sent = floodBytes().subarray(0, 3 * 1024 * 1024);
  let received = 0;
  let wrong = 0;
  let ended = false;
  let position = 0;
  const patience = new AbortController();
  const giveUp = () => patience.abort(new Error('given up'));
  if (scenario === 'abort') giveUp();
  if (scenario === 'abort later') setTimeout(giveUp, 300);

  const open = (connection) => {
    let size = 1;
    const sendMore = () => {
      while (position < sent.length && connection.pendingBytes === 0) {
        const piece = sent.slice(position, position + size);
        connection.send(piece);
        piece.fill(0);
        position += piece.length;
        size = ((size * 7) % 100_003) + 1;
      }
      // A connection that carries messages is closed as a whole: not before the echo is here.
      if (position === sent.length && scenario === 'echo' && connection.framing === 'stream') connection.end();
    };
    return {
      start: sendMore,
      data(bytes) {
        for (let i = 0; i < bytes.length; i++) if (bytes[i] !== sent[received + i]) wrong++;
        received += bytes.length;
        if (received === sent.length && connection.framing === 'message') connection.end();
      },
      drain: sendMore,
      end() {
        ended = true;
        connection.end();
      },
      close(error) {
        settle(`done received ${received} wrong ${wrong} ended ${ended} ${error === undefined ? 'clean' : error.code}`);
      },
    };
  };
  try {
    let handler;
    await transport.connect(
      address,
      (connection) => {
        handler = open(connection);
        return handler;
      },
      scenario.startsWith('abort') ? patience.signal : undefined,
    );
    handler.start();
  } catch (error) {
    return `failed ${error.code ?? '-'} ${error.message}`;
  }
  return result;
}

async function main([name, role, text, ...rest]) {
  const { createTransport } = await import('../../dist/transports/transports.js');
  const { formatAddress, parseAddress } = await import('../../dist/transports/address.js');
  const print = (line) => process.stdout.write(`${line}\n`);
  const transport = createTransport(name);
  const address = parseAddress(text);
  if (role === 'connect') {
    print(await playScenario(transport, address, rest[0]));
    return;
  }
  try {
    const [cert, key] = rest.map((path) => readFileSync(path, 'utf8'));
    const app = await startApp(transport, address, formatAddress, print, { cert, key });
    createInterface({ input: process.stdin }).on('line', app.command);
  } catch (error) {
    print(`refused ${error.code} ${error.message}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(process.argv.slice(2));
