/**
 * Which keys are this engine's: those whose slot is in its range. The slot is the CRC-16/XMODEM of the key modulo 16,384, as
 * `core/slots.ts` has it. An engine that owns all slots computes none.
 */
const SLOTS: u32 = 16_384;
const OPENING: u8 = 0x7b;
const CLOSING: u8 = 0x7d;

/** For each byte, what the remainder of the polynomial division becomes; filled when the first slot has to be computed. */
const crcTable: usize = memory.data(256 * 2);

let first: u32 = 0;
let last: u32 = SLOTS - 1;
let ownsAll: bool = true;

/** This engine's slots, both ends included. */
export function setSlots(from: u32, to: u32): void {
  first = from;
  last = to;
  ownsAll = from == 0 && to == SLOTS - 1;
  if (ownsAll) return;
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte << 8;
    for (let bit: u32 = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    store<u16>(crcTable + (byte << 1), <u16>crc);
  }
}

/** Whether a key belongs to this engine. */
export function ownsKey(key: usize, length: u32): bool {
  return ownsAll || ownsSlot(slotOf(key, length));
}

function ownsSlot(slot: u32): bool {
  return slot >= first && slot <= last;
}

export function slotOf(key: usize, length: u32): u32 {
  const end = key + length;
  const opening = find(OPENING, key, end);
  if (opening != end) {
    const closing = find(CLOSING, opening + 1, end);
    if (closing != end && closing > opening + 1) return crc16(opening + 1, closing) % SLOTS;
  }
  return crc16(key, end) % SLOTS;
}

/** Where the byte stands first; `end` when nowhere. */
function find(byte: u8, at: usize, end: usize): usize {
  let position = at;
  while (position < end && load<u8>(position) != byte) position++;
  return position;
}

function crc16(at: usize, end: usize): u32 {
  let crc: u32 = 0;
  for (let position = at; position < end; position++) {
    crc = ((crc << 8) & 0xffff) ^ <u32>load<u16>(crcTable + (((crc >> 8) ^ <u32>load<u8>(position)) << 1));
  }
  return crc;
}
