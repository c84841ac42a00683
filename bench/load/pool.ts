/** Requests that are ready to be sent, in whatever language: all that a connection needs to know of them. */
import type { Checker } from './replies.ts';

export interface Pool {
  /** Operations per frame. In a language without frames it is so many requests, one behind the other. */
  readonly batch: number;
  /** How many frames there are. */
  readonly length: number;
  /** A frame as it goes over a stream, or `count` of them, one behind the other: a view. */
  frame(index: number, count?: number): Uint8Array;
  /** A frame as it goes in a message: a view. */
  payload(index: number): Uint8Array;
  /** What checks the replies of one connection. */
  checker(): Checker;
}
