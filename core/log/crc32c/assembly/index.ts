/**
 * CRC-32C by tables, sixteen bytes at a step: "slicing", by Kounavis and Berry ("A systematic approach to building high
 * performance software-based CRC generators", ISCC 2005). Table n has the remainder of each byte with n zeros behind it, so
 * that sixteen bytes are looked up independently of one another.
 */

const POLYNOMIAL: u32 = 0x82f63b78;

const STEP: u32 = 16;
const TABLE_BYTES: usize = 256 * 4;

/** Bytes that are checked in one call at most. */
const BUFFER_BYTES: usize = 64 * 1024;

const tables: usize = memory.data(16 * 256 * 4, 64);
const buffer: usize = memory.data(64 * 1024, 64);

for (let byte: u32 = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  store<u32>(tables + (byte << 2), crc);
}
for (let entry = tables + TABLE_BYTES; entry < tables + STEP * TABLE_BYTES; entry += 4) {
  const shorter = load<u32>(entry - TABLE_BYTES);
  store<u32>(entry, (shorter >>> 8) ^ load<u32>(tables + ((shorter & 0xff) << 2)));
}

/** Where the bytes go that are to be checked. */
export function bufferAddress(): usize {
  return buffer;
}

export function bufferBytes(): usize {
  return BUFFER_BYTES;
}

/** Goes on from the checksum `before` with the first `length` bytes of the buffer. */
export function update(before: u32, length: u32): u32 {
  let crc = ~before;
  let at = buffer;
  const end = at + length;
  while (at + STEP <= end) {
    const first = load<u32>(at) ^ crc;
    const second = load<u32>(at, 4);
    const third = load<u32>(at, 8);
    const fourth = load<u32>(at, 12);
    // Only the first word depends on the step before: the others are looked up while that is still under way.
    const others =
      load<u32>((<usize>second & 0xff) << 2, tables + 11 * TABLE_BYTES) ^
      load<u32>((<usize>(second >> 8) & 0xff) << 2, tables + 10 * TABLE_BYTES) ^
      load<u32>((<usize>(second >> 16) & 0xff) << 2, tables + 9 * TABLE_BYTES) ^
      load<u32>((<usize>(second >> 24)) << 2, tables + 8 * TABLE_BYTES) ^
      load<u32>((<usize>third & 0xff) << 2, tables + 7 * TABLE_BYTES) ^
      load<u32>((<usize>(third >> 8) & 0xff) << 2, tables + 6 * TABLE_BYTES) ^
      load<u32>((<usize>(third >> 16) & 0xff) << 2, tables + 5 * TABLE_BYTES) ^
      load<u32>((<usize>(third >> 24)) << 2, tables + 4 * TABLE_BYTES) ^
      load<u32>((<usize>fourth & 0xff) << 2, tables + 3 * TABLE_BYTES) ^
      load<u32>((<usize>(fourth >> 8) & 0xff) << 2, tables + 2 * TABLE_BYTES) ^
      load<u32>((<usize>(fourth >> 16) & 0xff) << 2, tables + 1 * TABLE_BYTES) ^
      load<u32>((<usize>(fourth >> 24)) << 2, tables + 0 * TABLE_BYTES);
    crc =
      others ^
      load<u32>((<usize>first & 0xff) << 2, tables + 15 * TABLE_BYTES) ^
      load<u32>((<usize>(first >> 8) & 0xff) << 2, tables + 14 * TABLE_BYTES) ^
      load<u32>((<usize>(first >> 16) & 0xff) << 2, tables + 13 * TABLE_BYTES) ^
      load<u32>((<usize>(first >> 24)) << 2, tables + 12 * TABLE_BYTES);
    at += STEP;
  }
  while (at < end) crc = (crc >>> 8) ^ load<u32>(tables + (((crc ^ load<u8>(at++)) & 0xff) << 2));
  return ~crc;
}
