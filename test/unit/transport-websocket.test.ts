/** Connecting where the WebSocket is refused before anything is sent. */
import { expect, test } from 'vitest';
import { TransportError } from '../../transports/errors.ts';
import type { Address } from '../../transports/transport.ts';
import { createUwsTransport } from '../../transports/uws.ts';
import { connectWebSocket } from '../../transports/websocket.ts';

const open = () => ({ data() {}, drain() {}, end() {}, close() {} });

test('a page that may not connect is told to which address, and why', async () => {
  const address: Address = { kind: 'ws', host: '192.0.2.1', port: 7464 };
  const cause = new DOMException('An insecure WebSocket connection may not be initiated', 'SecurityError');
  const create = () => {
    throw cause;
  };
  const error: unknown = await connectWebSocket(create, address, open).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(TransportError);
  expect(error).toMatchObject({
    code: 'UNKNOWN',
    address,
    cause,
    message: "can't connect to ws://192.0.2.1:7464: An insecure WebSocket connection may not be initiated (UNKNOWN)",
  });
});

test('an address that is no URL is named', async () => {
  const address: Address = { kind: 'ws', host: 'fe80::1%lo', port: 7464 };
  await expect(createUwsTransport().connect(address, open)).rejects.toThrow(
    /^can't connect to ws:\/\/\[fe80::1%lo\]:7464: Invalid URL: ws:\/\/\[fe80::1%lo\]:7464 /,
  );
});
