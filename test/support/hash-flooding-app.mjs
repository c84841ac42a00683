/**
 * What keys that were made to collide cost an engine, and what random ones of the same length do, as a line of JSON. They are a
 * multicollision of FNV-1a (Joux, "Multicollisions in iterated hash functions", 2004): of two blocks that lead from one state to
 * the same other one, fifteen times, any choice is a key of the same hash.
 */
import process from 'node:process';
import { createSwissEngine } from '../../dist/core/engine/swiss.js';

const KEYS = 18_000;
const STAGES = 15;
const BLOCK_BYTES = 4;
const KEY_BYTES = STAGES * BLOCK_BYTES;
const KEYS_OF_FRAME = 100;

/** Each figure is the least of so many, for the machine may have other work. */
const REPETITIONS = 7;

const SET = 2;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

function fnv1a(bytes, state = FNV_OFFSET) {
  for (const byte of bytes) state = Math.imul(state ^ byte, FNV_PRIME) >>> 0;
  return state;
}

function blockOf(number) {
  return Uint8Array.of(number, number >>> 8, number >>> 16, number >>> 24);
}

/** Of blocks that lead to states with the same first so many bits, the last one is remembered. */
const SEEN_BITS = 20;

/** Two blocks that lead to the same state: by the birthday paradox it takes some 2 ** 16 to find them. */
function collide(from) {
  const seen = new Uint32Array(2 ** SEEN_BITS);
  for (let number = 1; ; number = Math.imul(number, 0x9e3779b1) >>> 0) {
    const state = fnv1a(blockOf(number), from);
    const place = state >>> (32 - SEEN_BITS);
    const other = seen[place];
    if (other !== 0 && fnv1a(blockOf(other), from) === state) return [blockOf(number), blockOf(other)];
    seen[place] = number;
  }
}

function collidingKeys() {
  const stages = [];
  for (let state = FNV_OFFSET; stages.length < STAGES; state = fnv1a(stages.at(-1)[0], state))
    stages.push(collide(state));
  return Array.from({ length: KEYS }, (_, i) => {
    const key = new Uint8Array(KEY_BYTES);
    for (const [stage, blocks] of stages.entries()) key.set(blocks[(i >> stage) & 1], stage * BLOCK_BYTES);
    return key;
  });
}

/** Payloads that set all the keys. */
function setting(keys) {
  return Array.from({ length: KEYS / KEYS_OF_FRAME }, (_, i) => {
    const operations = keys
      .slice(i * KEYS_OF_FRAME, (i + 1) * KEYS_OF_FRAME)
      .flatMap((key) => [0x93, SET, 0xc4, KEY_BYTES, ...key, 1]);
    return Uint8Array.of(0xdc, 0, KEYS_OF_FRAME, ...operations);
  });
}

/** CPU time of this process for setting all the keys in an empty engine. Unit: microseconds. */
function costMicros(payloads) {
  const engine = createSwissEngine();
  const before = process.cpuUsage();
  for (const payload of payloads) {
    const offset = engine.reserveInput(payload.length);
    engine.memory.set(payload, offset);
    engine.execute(offset, payload.length, 0);
    engine.clearOutput();
  }
  const { user, system } = process.cpuUsage(before);
  if (engine.stats().keys !== KEYS) throw new Error(`the engine has ${engine.stats().keys} keys`);
  return user + system;
}

const crafted = collidingKeys();
const random = crafted.map((key) => crypto.getRandomValues(new Uint8Array(key.length)));
const [craftedPayloads, randomPayloads] = [setting(crafted), setting(random)];
let craftedMicros = Number.POSITIVE_INFINITY;
let randomMicros = Number.POSITIVE_INFINITY;
// In turns, so that what warms up or slows down does so for both.
for (let i = 0; i < REPETITIONS; i++) {
  craftedMicros = Math.min(craftedMicros, costMicros(craftedPayloads));
  randomMicros = Math.min(randomMicros, costMicros(randomPayloads));
}
const hashes = new Set(crafted.map((key) => fnv1a(key))).size;
process.stdout.write(`${JSON.stringify({ keys: KEYS, hashes, craftedMicros, randomMicros })}\n`);
