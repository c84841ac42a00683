/**
 * Clients that misbehave, in a process of their own: its argument is an `IntrudersPlan`. They are as many as one machine of moderate
 * ill will can afford, so that what is measured is the server and not the want of cores.
 */
import { Buffer } from 'node:buffer';
import { connect, type Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { clearInterval, setInterval, setTimeout } from 'node:timers';
import { setTimeout as sleep } from 'node:timers/promises';
import { FRAME_HEADER_BYTES, Op, writeFrameHeader } from '../../../core/protocol.ts';
import { currentRuntime } from '../../../runtime/choose.ts';
import { connect as connectClient } from '../../../runtime/client.ts';
import { parseAddress } from '../../../transports/address.ts';
import { nextOrder, runScript, say } from '../../servers/script.ts';
import { type IntrudersPlan, type Intrusion, SETTLED } from './beside-plan.ts';

/** What slow and flooding clients ask for. */
const HEAVY_KEY = 'heavy';
const HEAVY_BYTES = 1024 * 1024;

/** So many are opened at a time, for the kernel's queue of those that wait to be accepted is short. */
const DIALLED_AT_ONCE = 50;

/** Pause between two steps of a slow client, and before one that was cut off comes again. Unit: milliseconds. */
const STEP_MS = 50;

/** They know nothing of each other, so the steps of all are spread evenly over that time: one group after the other. */
const GROUPS = 10;

/** They come in a burst, which is not what is measured. Unit: milliseconds. */
const SETTLE_MS = 1000;

/**
 * A slow reader takes a sip in one of so many steps, no two of a group in the same: what its runtime reads at a time, 64 to
 * 512 KiB.
 */
const STEPS_PER_SIP = 20;

const heavy = request([Op.GET, HEAVY_KEY]);
const half = frame(Buffer.alloc(HEAVY_BYTES)).subarray(0, 1000);
const trickle = request([Op.GET, 'x'.repeat(30)]);
const garbage = [
  Buffer.from('GET / HTTP/1.1\r\nHost: nobody\r\n\r\n'),
  Buffer.from('ceffffffff', 'hex'),
  frame(Buffer.of(0xc1)),
];

/** How many there are of a kind, and what one does once it is connected. */
interface Kind {
  readonly count: number;
  /** What it does at first. */
  readonly begin?: (socket: Socket, number: number) => void;
  /** What it does in every step. */
  readonly step?: (socket: Socket, number: number, step: number) => void;
}

const kinds: Readonly<Record<Intrusion, Kind>> = {
  silent: { count: 1000 },
  /** Of a frame that claims a megabyte, they send the beginning, and nothing any more. */
  'half-open': { count: 1000, begin: (socket) => socket.write(half) },
  /** Half of them send byte by byte, the others read what is long in sips. */
  slow: {
    count: 100,
    begin(socket, number) {
      if (number % 2 === 0) return;
      socket.pause();
      for (let i = 0; i < 16; i++) socket.write(heavy);
    },
    step(socket, number, step) {
      if (number % 2 === 0) socket.write(trickle.subarray(step % trickle.length, (step % trickle.length) + 1));
      else if ((step + Math.floor(number / GROUPS)) % STEPS_PER_SIP === 0) sip(socket);
    },
  },
  /** They ask for 500 MiB each, and read nothing. */
  flooding: {
    count: 20,
    begin(socket) {
      socket.pause();
      for (let i = 0; i < 500; i++) socket.write(heavy);
    },
  },
  /** They send what is no frame, are told so, and come again. */
  malformed: { count: 20, begin: (socket, number) => socket.write(garbage[number % garbage.length]!) },
};

/** `read(size)` would do, but that Bun goes on to read into memory what it was not asked for. */
function sip(socket: Socket): void {
  // The last sip may still be waited for.
  if (!socket.isPaused()) return;
  socket.once('data', () => socket.pause());
  socket.resume();
}

class Intruders {
  readonly #address: { readonly host: string; readonly port: number };
  readonly #kind: Kind;
  readonly #sockets = new Map<number, Socket>();
  readonly #stepping: NodeJS.Timeout;
  #ticks = 0;
  #haveLeft = false;

  static async come(address: string, intrusion: Intrusion): Promise<Intruders> {
    await storeHeavy(address);
    const intruders = new Intruders(address, kinds[intrusion]);
    const { count } = intruders.#kind;
    for (let from = 0; from < count; from += DIALLED_AT_ONCE) {
      const numbers = Array.from({ length: Math.min(DIALLED_AT_ONCE, count - from) }, (_, i) => from + i);
      await Promise.all(numbers.map((number) => intruders.#dial(number)));
    }
    await sleep(SETTLE_MS);
    return intruders;
  }

  private constructor(address: string, kind: Kind) {
    const parsed = parseAddress(address);
    if (parsed.kind !== 'tcp') throw new TypeError(`${address} is not reached over TCP`);
    this.#address = parsed;
    this.#kind = kind;
    this.#stepping = setInterval(() => {
      const group = this.#ticks % GROUPS;
      const step = Math.floor(this.#ticks++ / GROUPS);
      for (const [number, socket] of this.#sockets) {
        if (number % GROUPS === group) kind.step?.(socket, number, step);
      }
    }, STEP_MS / GROUPS);
  }

  /** Resolves when all are gone. */
  async leave(): Promise<void> {
    this.#haveLeft = true;
    clearInterval(this.#stepping);
    const gone = [...this.#sockets.values()].map((socket) => {
      return new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
        socket.destroy();
      });
    });
    await Promise.all(gone);
  }

  /** Resolves when it is connected. One that is cut off comes again. */
  #dial(number: number): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(this.#address);
      this.#sockets.set(number, socket);
      socket.on('error', () => {});
      // What it is told is nothing to it.
      socket.resume();
      socket.once('connect', () => {
        this.#kind.begin?.(socket, number);
        resolve();
      });
      socket.once('close', () => {
        this.#sockets.delete(number);
        setTimeout(() => {
          if (!this.#haveLeft) void this.#dial(number);
        }, STEP_MS);
        resolve();
      });
    });
  }
}

async function intrude({ address }: IntrudersPlan): Promise<void> {
  let intruders: Intruders | undefined;
  for (;;) {
    const order = await nextOrder();
    await intruders?.leave();
    intruders = order === '' ? undefined : await Intruders.come(address, order as Intrusion);
    say(SETTLED);
  }
}

async function storeHeavy(address: string): Promise<void> {
  await using client = await connectClient(address);
  await client.set(HEAVY_KEY, 'x'.repeat(HEAVY_BYTES));
}

/** The frame of one operation, whose key is short. */
function request([code, key]: readonly [code: number, key: string]): Uint8Array {
  return frame(Buffer.concat([Buffer.of(0x91, 0x92, code, 0xd9, key.length), Buffer.from(key)]));
}

function frame(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  writeFrameHeader(bytes, 0, payload.length);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

// They stand for other machines, which would not compete for the cores of this one.
setPriority(constants.priority.PRIORITY_LOW);
await runScript(currentRuntime(), (argument) => intrude(argument as IntrudersPlan));
