/** Connecting a socket through the ring. */
import { ECANCELED } from './constants.ts';
import { type Loop, NOBODY } from './loop.ts';
import { prepCancel64, prepClose, prepConnect } from './prep.ts';
import type { Sockaddr } from './sockets.ts';

// What completions are about.
const CONNECT = 1;
const CLOSE = 2;

/** Connects a socket; `done` gets 0, or a negative errno once the socket is closed again. */
export function connectSocket(
  loop: Loop,
  descriptor: number,
  { bytes }: Sockaddr,
  signal: AbortSignal | undefined,
  done: (result: number) => void,
): void {
  const piece = loop.stage.add(bytes);
  let connectResult = 0;
  const target = loop.register({
    complete(what, result) {
      if (what === CONNECT) {
        signal?.removeEventListener('abort', aborted);
        loop.stage.release(piece);
        connectResult = signal?.aborted ? -ECANCELED : result;
        if (connectResult < 0) {
          const sqe = loop.sqe();
          prepClose(loop.ring.sqes, sqe, descriptor);
          loop.tag(sqe, target, CLOSE);
          return;
        }
      }
      loop.unregister(target);
      done(connectResult);
    },
  });
  const aborted = (): void => {
    const sqe = loop.sqe();
    prepCancel64(loop.ring.sqes, sqe, target, CONNECT, 0);
    loop.tag(sqe, NOBODY, 0);
    loop.start();
  };
  signal?.addEventListener('abort', aborted, { once: true });
  const sqe = loop.sqe();
  prepConnect(loop.ring.sqes, sqe, descriptor, piece.address, bytes.length);
  loop.tag(sqe, target, CONNECT);
}
