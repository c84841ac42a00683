/**
 * What the load generator and the bare echo say to each other. A request is as long as the real one, its frame header
 * included, and its payload begins with a uint32: the length of the payload that is wanted back. What comes back has that
 * length, a frame header included where frames have one, and any content.
 *
 * One length is no length but a question: `FIGURES_WANTED` gets what the server's INFO would tell of the process.
 */
import { FRAME_HEADER_BYTES } from '../../core/protocol.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Address, Connection, Transport, TransportName } from '../../transports/transport.ts';
import { FramePool } from '../load/frames.ts';
import type { ServerFigures } from '../load/plan.ts';
import { type Checker, ReplyError } from '../load/replies.ts';

/** What the payload of every request begins with. Unit: bytes. */
export const WANTED_BYTES = 4;

/** Wanted instead of a length: the figures, three float64. */
export const FIGURES_WANTED = 0xffff_ffff;

/** Length of the answer to `FIGURES_WANTED`, which has no frame header. Unit: bytes. */
const FIGURES_BYTES = 24;

/** What the control is told: JSON, its one argument. It answers with one line, the address where it listens. */
export interface EchoPlan {
  readonly transport: TransportName;
  /** Where to listen. */
  readonly address: string;
  /** The most that is sent at once, and no less than the longest reply. Unit: bytes. */
  readonly outputBytes: number;
}

/** Requests of the control, made out of real ones: the lengths of frames and replies stay what they are. */
export class EchoPool extends FramePool {
  constructor(...content: ConstructorParameters<typeof FramePool>) {
    super(...content);
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    for (let frame = 0; frame < this.length; frame++) {
      view.setUint32(this.payloadOffset(frame), this.replyBytes(frame) - FRAME_HEADER_BYTES);
    }
  }

  override checker(): Checker {
    return new EchoChecker(this);
  }
}

/** Checks the replies of a control: their length is all there is to them. */
class EchoChecker implements Checker {
  readonly #pool: FramePool;
  #missing = 0;

  constructor(pool: FramePool) {
    this.#pool = pool;
  }

  expect(frame: number): void {
    this.#missing = this.#pool.replyBytes(frame);
  }

  get complete(): boolean {
    return this.#missing === 0;
  }

  take(chunk: Uint8Array, from: number): number {
    const taken = Math.min(this.#missing, chunk.length - from);
    this.#missing -= taken;
    return from + taken;
  }
}

/** The answer to `FIGURES_WANTED` of a process that runs under this runtime. */
export function encodeFigures(runtime: Runtime): Uint8Array {
  const { userMicros, systemMicros } = runtime.cpuTime();
  const view = new DataView(new ArrayBuffer(FIGURES_BYTES));
  view.setFloat64(0, userMicros);
  view.setFloat64(8, systemMicros);
  view.setFloat64(16, runtime.memoryUse().peakResidentBytes);
  return new Uint8Array(view.buffer);
}

/** A connection that asks a control for its figures. */
export class EchoControl {
  readonly #connection: Connection;
  readonly #answer = new DataView(new ArrayBuffer(FIGURES_BYTES));
  #answerBytes = 0;
  #resolve: (figures: ServerFigures) => void = () => {};
  #reject: (error: Error) => void = () => {};

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(transport: Transport, address: Address): Promise<EchoControl> {
    let control: EchoControl | undefined;
    await transport.connect(address, (connection) => {
      const opened = new EchoControl(connection);
      control = opened;
      return {
        data: (bytes) => opened.#data(bytes),
        drain: () => {},
        end: () => opened.#reject(new ReplyError('the control ended a connection')),
        close: (cause) => opened.#reject(new ReplyError('a connection to the control is lost', { cause })),
      };
    });
    return control!;
  }

  /** The next call has to wait for the answer. */
  figures(): Promise<ServerFigures> {
    const frame = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES + WANTED_BYTES));
    frame.setUint32(1, WANTED_BYTES);
    frame.setUint32(FRAME_HEADER_BYTES, FIGURES_WANTED);
    const from = this.#connection.framing === 'message' ? FRAME_HEADER_BYTES : 0;
    this.#answerBytes = 0;
    this.#connection.send(new Uint8Array(frame.buffer, from));
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  close(): void {
    this.#connection.destroy();
  }

  #data(bytes: Uint8Array): void {
    const view = this.#answer;
    new Uint8Array(view.buffer).set(bytes, this.#answerBytes);
    this.#answerBytes += bytes.length;
    if (this.#answerBytes < FIGURES_BYTES) return;
    this.#resolve({
      cpuUserMicros: view.getFloat64(0),
      cpuSystemMicros: view.getFloat64(8),
      peakResidentBytes: view.getFloat64(16),
    });
  }
}
