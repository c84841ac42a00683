/**
 * Which requests may become a WebSocket, asked of every server alike, and what the others are answered. Their connections are
 * closed: kept, each request would win one as much time again. Deno only tells the client to.
 */

/** Pages on this machine may connect, whatever the server is called. */
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** What is told, with status 403, to a page that may not connect. */
export const ORIGIN_REFUSED =
  'a page may connect from localhost, 127.0.0.1, [::1], or the host that it connects to; this origin is another\n';

/**
 * Whether a request with these headers may connect; an absent header is empty or null. Browsers let any page connect to any
 * server, and say with `Origin` whose page it is. Whoever sends none is no page, and could say what it likes.
 */
export function isOriginAllowed(origin: string | null, host: string | null): boolean {
  if (origin === null || origin === '') return true;
  const originHost = hostOf(origin);
  if (originHost === undefined) return false;
  return LOOPBACK_HOSTS.has(originHost) || originHost === hostOf(`http://${host ?? ''}`);
}

/** What a request is answered that may not become a WebSocket, where servers take a `Request`; undefined if it may. */
export function refuseUpgrade({ headers }: Request): Response | undefined {
  if (headers.get('upgrade')?.toLowerCase() !== 'websocket') return upgradeRequired();
  if (isOriginAllowed(headers.get('origin'), headers.get('host'))) return undefined;
  return new Response(ORIGIN_REFUSED, { status: 403, headers: { Connection: 'close' } });
}

/** The answer to a request that asks for no WebSocket, or not as the standard wants it. */
export function upgradeRequired(): Response {
  return new Response(null, { status: 426, headers: { Upgrade: 'websocket', Connection: 'close' } });
}

/** The host that a URL names, without its port; undefined if it names none, as the origin `null` does. */
function hostOf(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { hostname } = new URL(url);
  return hostname === '' ? undefined : hostname;
}
