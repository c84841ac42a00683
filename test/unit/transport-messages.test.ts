/** WebSocket connections where a real socket would be in the way: what is held, what is awaited, and how it ends. */
import { describe, expect, test } from 'vitest';
import type { ConnectionHandler } from '../../core/connection.ts';
import {
  HELD_BYTES_MAX,
  HeldMemory,
  MESSAGE_BYTES_MAX,
  MessageConnection,
  type MessageSocket,
} from '../../transports/messages.ts';

/** A socket that sends nothing and notes what it was asked. */
class Socket implements MessageSocket {
  readonly events: string[] = [];
  bufferedBytes = 0;

  send(bytes: Uint8Array): void {
    this.events.push(`send ${bytes.length}`);
  }

  close(code: number, reason: string): void {
    this.events.push(`close ${code} ${reason}`.trim());
  }

  terminate(): void {
    this.events.push('terminate');
  }
}

function open(heldInAll?: HeldMemory) {
  const socket = new Socket();
  const connection = new MessageConnection(socket, undefined, heldInAll);
  const told: string[] = [];
  const handler: ConnectionHandler = {
    data: (bytes) => void told.push(`data ${bytes.join()}`),
    drain: () => void told.push('drain'),
    end: () => void told.push('end'),
    close: (error) => void told.push(error === undefined ? 'close' : `close: ${error.message}`),
  };
  connection.handler = handler;
  return { socket, connection, told, handler };
}

const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('pausing', () => {
  test('holds messages as they were, and delivers them in their order, never before resumeReading returns', async () => {
    const { connection, told } = open();
    connection.pauseReading();
    const borrowed = Uint8Array.of(1);
    connection.received(borrowed);
    borrowed[0] = 9;
    connection.received(Uint8Array.of(2));
    connection.resumeReading();
    // It comes when those before it are still held.
    connection.received(Uint8Array.of(3));
    expect(told).toEqual([]);
    await microtasks();
    connection.received(Uint8Array.of(4));
    expect(told).toEqual(['data 1', 'data 2', 'data 3', 'data 4']);
  });

  test('a handler that pauses again keeps the rest waiting', async () => {
    const { connection, told, handler } = open();
    handler.data = (bytes) => {
      told.push(`data ${bytes.join()}`);
      connection.pauseReading();
    };
    connection.pauseReading();
    for (let i = 1; i <= 3; i++) connection.received(Uint8Array.of(i));
    for (let i = 1; i <= 3; i++) {
      connection.resumeReading();
      connection.resumeReading();
      await microtasks();
      expect(told.length).toBe(i);
    }
  });

  test('what waits is limited, also for messages that are small', () => {
    const { socket, connection } = open();
    connection.pauseReading();
    const small = Uint8Array.of(1);
    const most = HELD_BYTES_MAX / 257;
    for (let i = 0; i < Math.floor(most); i++) connection.received(small);
    expect(socket.events).toEqual([]);
    connection.received(small);
    expect(socket.events).toEqual(['close 1008 read replies before you send on']);
  });

  test('the longest message there is may wait, and then no other', () => {
    const { socket, connection } = open();
    connection.pauseReading();
    connection.received(new Uint8Array(MESSAGE_BYTES_MAX));
    expect(socket.events).toEqual([]);
    connection.received(Uint8Array.of(1));
    expect(socket.events).toEqual(['close 1008 read replies before you send on']);
  });

  describe('what waits at all connections of a listener', () => {
    const message = new Uint8Array(744);
    const tooMuch = 'close 1013 too much waits for clients that do not read their replies';

    /** Connections that have paused, of a listener where two messages may wait. */
    function openPaused(count: number) {
      const held = new HeldMemory(2000);
      const opened = Array.from({ length: count }, () => open(held));
      for (const { connection } of opened) connection.pauseReading();
      return opened;
    }

    test('is limited, and the connection that passes the limit is closed alone', () => {
      const [first, second, third] = openPaused(3);
      first!.connection.received(message);
      second!.connection.received(message);
      third!.connection.received(message);
      expect([first, second, third].map((one) => one!.socket.events)).toEqual([[], [], [tooMuch]]);
    });

    test('has room again for what was delivered, and for what a connection took with it', async () => {
      const [delivered, gone, ended, last] = openPaused(4);
      delivered!.connection.received(message);
      delivered!.connection.resumeReading();
      await microtasks();
      expect(delivered!.told).toHaveLength(1);
      gone!.connection.received(message);
      gone!.connection.closed(1006, '');
      ended!.connection.received(message);
      ended!.connection.end();
      last!.connection.received(message);
      last!.connection.received(message);
      expect(last!.socket.events).toEqual([]);
      last!.connection.received(Uint8Array.of(1));
      expect(last!.socket.events).toEqual([tooMuch]);
      // And what the refused one held is free, too.
      const { connection, socket } = delivered!;
      connection.pauseReading();
      connection.received(message);
      connection.received(message);
      expect(socket.events).toEqual([]);
    });
  });
});

describe('what is sent', () => {
  test('drain comes once to whoever has seen that bytes were pending, and to nobody else', () => {
    const { socket, connection, told } = open();
    connection.send(new Uint8Array(10));
    connection.look();
    expect(told).toEqual([]);
    socket.bufferedBytes = 10;
    expect(connection.pendingBytes).toBe(10);
    connection.look();
    expect(told).toEqual([]);
    socket.bufferedBytes = 0;
    connection.look();
    connection.look();
    expect(told).toEqual(['drain']);
  });

  test('the close frame waits for it, and nothing is sent after end', () => {
    const { socket, connection } = open();
    connection.send(new Uint8Array(10));
    socket.bufferedBytes = 10;
    connection.end();
    connection.end();
    connection.send(new Uint8Array(20));
    expect(socket.events).toEqual(['send 10']);
    socket.bufferedBytes = 0;
    connection.look();
    expect(socket.events).toEqual(['send 10', 'close 1000']);
  });
});

describe('the end', () => {
  const endings: [number, string, string[]][] = [
    [1000, '', ['end', 'close']],
    [1001, 'going away', ['end', 'close']],
    [1005, '', ['end', 'close']],
    [1006, '', ['close: the connection was lost without a close frame']],
    [1009, 'too big', ['close: closed with code 1009: too big']],
  ];
  test.each(endings)('code %i "%s" is told once', async (code, reason, expected) => {
    const { connection, told } = open();
    connection.closed(code, reason);
    connection.closed(1000, '');
    expect(told).toEqual([]);
    await microtasks();
    expect(told).toEqual(expected);
    connection.send(new Uint8Array(1));
    connection.end();
    connection.destroy();
    connection.received(new Uint8Array(1));
    await microtasks();
    expect(told).toEqual(expected);
  });

  test('who destroys it hears of the close alone, though the socket is never heard of again', async () => {
    const { socket, connection, told } = open();
    connection.destroy();
    connection.destroy();
    expect(connection.pendingBytes).toBe(0);
    await microtasks();
    expect([told, socket.events]).toEqual([['close'], ['terminate']]);
  });

  test('a text message is refused, nothing behind it is delivered, and it is the error of close', async () => {
    const { socket, connection, told } = open();
    connection.receivedText();
    connection.receivedText();
    connection.received(Uint8Array.of(1));
    expect(socket.events).toEqual(['close 1003 binary messages only']);
    connection.closed(1003, '');
    await microtasks();
    expect(told).toEqual(['close: closed with code 1003: binary messages only']);
  });
});
