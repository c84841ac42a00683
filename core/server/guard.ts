/** Who may do what, as far as the core knows it: what tokens are and how they are compared is the runtime's. */
import type { Access } from '../engine/engine.ts';

/** What a token has granted. */
export interface Grant {
  readonly access: Access;
  /** The hash of the token, by which it is found again when the tokens change. */
  readonly digest: Uint8Array;
}

/** The tokens that are valid, for a server that asks for one. */
export interface Guard {
  /** What a token grants; undefined when it is none. How long this takes says nothing of the tokens. */
  admit(token: Uint8Array): Grant | undefined;
  /** What it grants now, if others granted it; undefined when the token is gone. */
  renew(grant: Grant): Grant | undefined;
}
