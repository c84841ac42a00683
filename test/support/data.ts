/** Servers that keep their data, for tests: directories of their own, and what was acknowledged before the end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { Op } from '../../core/protocol.ts';
import { request, WireClient } from './wire.ts';

/** What a frame adds to the log beside the count. */
const BALLAST = Buffer.alloc(2000, 'x');

/** How many frames of a `Setting` are not answered at a time. */
const SETS_IN_FLIGHT = 4;

/** A directory that is gone after the tests of the file. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'ringkv-data-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/**
 * A client that counts one key up, a frame at a time and several in flight, until its connection is gone. The key holds at
 * least what was acknowledged last, and at most what was sent. Each frame sets another key as well, so that the log grows.
 */
export class Counting {
  readonly key: string;
  acknowledged: number;
  sent: number;
  readonly #client: WireClient;
  readonly #inFlight: number;
  /** Resolves when the connection is gone. */
  readonly over: Promise<void>;
  #onCount: (() => void) | undefined;

  static async start(address: string, key: string, from: number, inFlight: number): Promise<Counting> {
    return new Counting(await WireClient.dial(address), key, from, inFlight);
  }

  private constructor(client: WireClient, key: string, from: number, inFlight: number) {
    this.#client = client;
    this.key = key;
    this.acknowledged = from;
    this.sent = from;
    this.#inFlight = inFlight;
    this.over = this.#count();
  }

  /** Resolves when so much was acknowledged, or the connection is gone. */
  async reached(count: number): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      this.#onCount = () => {
        if (this.acknowledged >= count) resolve();
      };
      this.#onCount();
    });
    await Promise.race([reached, this.over]);
  }

  async #count(): Promise<void> {
    try {
      for (let i = 0; i < this.#inFlight; i++) this.#send();
      for (;;) {
        const [result] = (await this.#client.reply()) as [number];
        if (result !== this.acknowledged + 1)
          throw new Error(`ADD answers ${JSON.stringify(result)}, not ${this.acknowledged + 1}`);
        this.acknowledged = result;
        this.#onCount?.();
        this.#send();
      }
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('ADD')) throw error;
      // The server is gone.
    }
  }

  #send(): void {
    this.#client.peer.write(request([Op.ADD, this.key, 1], [Op.SET, `${this.key}:ballast`, BALLAST]));
    this.sent++;
  }
}

/** A client that sets one key after the other, several in flight, until the server ends the connection, and then leaves. */
export class Setting {
  readonly name: string;
  acknowledged = 0;
  readonly #client: WireClient;
  #sent = 0;
  /** Resolves when it has left. */
  readonly over: Promise<void>;
  #onCount: () => void = () => {};

  static async start(address: string, name: string): Promise<Setting> {
    return new Setting(await WireClient.dial(address), name);
  }

  private constructor(client: WireClient, name: string) {
    this.#client = client;
    this.name = name;
    this.over = this.#set();
  }

  /** Resolves when so many were acknowledged. */
  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onCount = () => {
        if (this.acknowledged >= count) resolve();
      };
      this.#onCount();
    });
  }

  async #set(): Promise<void> {
    for (let i = 0; i < SETS_IN_FLIGHT; i++) this.#send();
    for (;;) {
      const reply = await this.#client.reply().catch(() => undefined);
      if (reply === undefined) break;
      if (!Array.isArray(reply) || reply[0] !== true) throw new Error(`SET answers ${JSON.stringify(reply)}`);
      this.acknowledged++;
      this.#onCount();
      this.#send();
    }
    await this.#client.close();
  }

  #send(): void {
    this.#client.peer.write(request([Op.SET, `${this.name}:${this.#sent}`, this.#sent]));
    this.#sent++;
  }
}
