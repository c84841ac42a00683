/** What the server itself answers: HELLO, AUTH, INFO, and where the keys of other shards are. */
import { pack } from 'msgpackr/pack';
import { Access, type EngineHost } from '../engine/engine.ts';
import { Reader, Writer } from '../msgpack.ts';
import { ErrorCode, Op, PROTOCOL_VERSION } from '../protocol.ts';
import type { ShardMap } from '../slots.ts';
import type { Session } from './session.ts';

const textDecoder = new TextDecoder();

/** What HELLO tells of who asks. */
const ACCESS_NAMES = { [Access.FULL]: 'full', [Access.READ]: 'read-only', [Access.NONE]: 'none' } as const;

/** What the answers are made of. */
export interface HostSource {
  /** What HELLO tells that is the same for all. */
  hello(): Readonly<Record<string, unknown>>;
  info(): Readonly<Record<string, string | number>>;
  shards(): ShardMap;
}

/**
 * What was answered within one frame. Working these out takes long, so a frame that asks a thousand times gets the same
 * answer each time.
 */
interface FrameAnswers {
  info?: Uint8Array;
  readonly hello: Map<Access, Uint8Array>;
  /** For keys of other shards, by their slots. */
  readonly moved: Map<number, Uint8Array>;
}

export class ServerHost implements EngineHost {
  readonly #source: HostSource;
  /** Whose operations are executed: nothing asks for an answer before the first frame begins. */
  #session!: Session;
  #answers: FrameAnswers | undefined;

  constructor(source: HostSource) {
    this.#source = source;
  }

  /** A frame of this session is executed next. */
  beginFrame(session: Session): void {
    this.#session = session;
    this.#answers = undefined;
  }

  /**
   * Answers HELLO, AUTH or INFO. The arguments are read with our own reader: a decoder of whole values could be made to fail,
   * or to do more than decode, by the extensions it knows.
   */
  serverOperation(code: number, operation: Uint8Array): Uint8Array {
    const reader = new Reader(operation);
    const argumentCount = reader.arrayHeader() - 1;
    reader.skip();
    if (argumentCount !== (code === Op.INFO ? 0 : 1)) return wireError(ErrorCode.OP, 'wrong number of arguments');
    if (code === Op.INFO) {
      const answers = this.#frameAnswers();
      answers.info ??= pack(this.#source.info()) as Uint8Array;
      return answers.info;
    }
    if (code === Op.HELLO) return this.#hello(reader);
    const token = reader.stringOrBytes();
    if (token === undefined) return wireError(ErrorCode.TYPE, 'token is not a string or binary');
    return this.#authenticate(token) ?? (pack(true) as Uint8Array);
  }

  /** The error that tells where the keys of a slot are. */
  moved(slot: number): Uint8Array {
    const { moved } = this.#frameAnswers();
    const known = moved.get(slot);
    if (known !== undefined) return known;
    const [, , url] = this.#source.shards().find(([first, last]) => slot >= first && slot <= last)!;
    const result = wireError(ErrorCode.MOVED, `${slot} ${url}`);
    moved.set(slot, result);
    return result;
  }

  #hello(reader: Reader): Uint8Array {
    const pairs = reader.mapHeader();
    if (pairs < 0) return wireError(ErrorCode.TYPE, 'argument is not a map');
    const { version, token } = readHello(reader, pairs);
    if (version !== BigInt(PROTOCOL_VERSION)) {
      return wireError(ErrorCode.RANGE, `version must be ${PROTOCOL_VERSION}, the one spoken here`);
    }
    const refusal = token === undefined ? undefined : this.#authenticate(token);
    if (refusal !== undefined) return refusal;
    const { hello } = this.#frameAnswers();
    const { access } = this.#session;
    const known = hello.get(access);
    if (known !== undefined) return known;
    const answer = pack({
      ...this.#source.hello(),
      access: ACCESS_NAMES[access],
      // A map of many shards is long, and strangers may ask a thousand times.
      shards: access === Access.NONE ? [] : this.#source.shards(),
    }) as Uint8Array;
    hello.set(access, answer);
    return answer;
  }

  /** The error to be answered; undefined when the token is valid. */
  #authenticate(token: Uint8Array): Uint8Array | undefined {
    return this.#session.authenticate(token) ? undefined : wireError(ErrorCode.AUTH, 'the token is not valid');
  }

  #frameAnswers(): FrameAnswers {
    this.#answers ??= { hello: new Map(), moved: new Map() };
    return this.#answers;
  }
}

/** The entries of HELLO's map, of so many pairs, that mean something here; undefined where there is none of its kind. */
function readHello(reader: Reader, pairs: number): { version: bigint | undefined; token: Uint8Array | undefined } {
  let version: bigint | undefined;
  let token: Uint8Array | undefined;
  for (let i = 0; i < pairs; i++) {
    const key = reader.stringOrBytes();
    if (key === undefined) reader.skip();
    const name = key === undefined ? '' : textDecoder.decode(key);
    const start = reader.position;
    if (name === 'version') version = reader.integer() ?? version;
    else if (name === 'token') token = reader.stringOrBytes() ?? token;
    if (reader.position === start) reader.skip();
  }
  return { version, token };
}

function wireError(code: ErrorCode, message: string): Uint8Array {
  const writer = new Writer();
  writer.error(code, message);
  return writer.copy();
}
