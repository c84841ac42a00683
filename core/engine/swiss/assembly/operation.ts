/** The descriptor of a parsed operation, 32 bytes: where its fields are, and the values that say something is missing. */

export const OPERATION_BYTES: u32 = 32;

/** u64: hash of the key. */
export const HASH: usize = 0;
/** u32: address of the key's bytes. */
export const KEY: usize = 8;
/** u32: bytes of the key, or `KEY_NONE`. */
export const KEY_LENGTH: usize = 12;
/** u16: code of the operation, or `CODE_…`. */
export const CODE: usize = 16;
/** u16: arguments, the key included. */
export const ARGUMENTS: usize = 18;
/** u32: address of the first argument, or of the one behind the key if there is a key. */
export const NEXT_ARGUMENT: usize = 20;
/** u32: address of the operation; it ends where the next one starts. */
export const START: usize = 24;
/** u32: address of the table's group that is home to the key. */
export const GROUP: usize = 28;

/** There is no key, or what should be one is neither `str` nor `bin`. */
export const KEY_NONE: u32 = 0xffff_ffff;
export const KEY_BYTES_MAX: u32 = 65_535;

/** The code is not an integer, none that an operation has, or missing. */
export const CODE_UNKNOWN: u32 = 0xffff;
/** The element of the payload is not an array. */
export const CODE_NOT_ARRAY: u32 = 0xfffe;
