/**
 * Writes a profile as a flame graph (Brendan Gregg, "The Flame Graph", Communications of the ACM 59, 2016) in one SVG file that
 * needs nothing else: the threads on top, below each function those it called, as wide as the time in it and in what it
 * called. Where something stands from left to right says nothing; functions are in the order of their names.
 */
import { type Frame, frameLabel, type ThreadProfile } from './profile.ts';

/** A function in one place of the tree of calls. */
export interface FlameNode {
  readonly frame: Frame;
  /** Of the function itself and of all it called. Unit: microseconds. */
  micros: number;
  readonly children: Map<Frame, FlameNode>;
}

const WIDTH = 1200;
const ROW_HEIGHT = 18;
const MARGIN = 10;
const HEAD_HEIGHT = 44;
/** What would be narrower is not drawn. Unit: pixels, like all of these. */
const NARROWEST = 0.4;
const CHARACTER_WIDTH = 6.7;

/** The tree of calls: the threads, then outwards in. */
export function flameTree(threads: readonly ThreadProfile[]): FlameNode {
  const root: FlameNode = { frame: { name: 'all' }, micros: 0, children: new Map() };
  for (const { thread, samples } of threads) {
    const top: Frame = { name: thread };
    for (const { stack, micros } of samples) {
      root.micros += micros;
      let node = root;
      for (const frame of [top, ...stack]) {
        let child = node.children.get(frame);
        if (child === undefined) {
          child = { frame, micros: 0, children: new Map() };
          node.children.set(frame, child);
        }
        child.micros += micros;
        node = child;
      }
    }
  }
  return root;
}

/** The whole file. */
export function flameSvg(title: string, subtitle: string, threads: readonly ThreadProfile[]): string {
  const root = flameTree(threads);
  const boxes: string[] = [];
  let deepest = 0;
  const draw = (node: FlameNode, x: number, depth: number): void => {
    const width = (node.micros / root.micros) * (WIDTH - 2 * MARGIN);
    if (!(width >= NARROWEST)) return;
    deepest = Math.max(deepest, depth);
    boxes.push(box(node, root.micros, x, depth, width));
    let at = x;
    const children = [...node.children.values()].sort((a, b) => (frameLabel(a.frame) < frameLabel(b.frame) ? -1 : 1));
    for (const child of children) {
      draw(child, at, depth + 1);
      at += (child.micros / root.micros) * (WIDTH - 2 * MARGIN);
    }
  };
  draw(root, MARGIN, 0);
  const height = HEAD_HEIGHT + (deepest + 1) * ROW_HEIGHT + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="ui-monospace, monospace" font-size="11">`,
    `<title>${escapeXml(title)}</title>`,
    STYLE,
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    `<text class="head" x="${MARGIN}" y="18">${escapeXml(title)}</text>`,
    `<text class="note" x="${MARGIN}" y="34">${escapeXml(subtitle)}</text>`,
    ...boxes,
    '</svg>\n',
  ].join('\n');
}

/** What is known of where a function comes from gives its colour. */
type Kind = 'script' | 'wasm' | 'kernel' | 'native';

const STYLE = `<style>
svg{--page:#fff;--ink:#1b1f24;--soft:#57606a;--script:#f6c177;--wasm:#b8a1e3;--kernel:#ef9a9a;--native:#a8c7dc}
@media (prefers-color-scheme:dark){svg{--page:#15181c;--ink:#e8eaed;--soft:#9aa4ae;--script:#8a5a16;--wasm:#5d4a8c;--kernel:#8c3b3b;--native:#33566d}}
.page{fill:var(--page)}text{fill:var(--ink)}.head{font-size:14px;font-weight:600}.note{fill:var(--soft)}
rect{stroke:var(--page);stroke-width:.5}g:hover rect{stroke:var(--ink);stroke-width:1.2}
.script{fill:var(--script)}.wasm{fill:var(--wasm)}.kernel{fill:var(--kernel)}.native{fill:var(--native)}
</style>`;

function box({ frame, micros }: FlameNode, allMicros: number, x: number, depth: number, width: number): string {
  const y = HEAD_HEIGHT + depth * ROW_HEIGHT;
  const { name, file, line } = frame;
  const where = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
  const share = ((micros / allMicros) * 100).toFixed(micros / allMicros < 0.1 ? 2 : 1);
  const characters = Math.floor((width - 6) / CHARACTER_WIDTH);
  const label = frameLabel(frame);
  const shown = label.length <= characters ? label : `${label.slice(0, characters - 1)}…`;
  return [
    `<g><title>${escapeXml(`${name}${where}: ${share} %, ${(micros / 1000).toFixed(1)} ms`)}</title>`,
    `<rect class="${kindOf(frame)}" x="${x.toFixed(2)}" y="${y}" width="${width.toFixed(2)}" height="${ROW_HEIGHT}" rx="1.5"/>`,
    characters < 3 ? '' : `<text x="${(x + 3).toFixed(2)}" y="${y + 13}">${escapeXml(shown)}</text>`,
    '</g>',
  ].join('');
}

function kindOf({ name, file }: Frame): Kind {
  if (file === 'wasm' || name.includes('wasm-function')) return 'wasm';
  if (file !== undefined && /kallsyms|^\[kernel|\.ko$/.test(file)) return 'kernel';
  return file !== undefined && /\.[cm]?[jt]s$|^(node|ext|bun|internal):/.test(file) ? 'script' : 'native';
}

function escapeXml(text: string): string {
  // What no XML may hold, escaped or not, is left out.
  const allowed = [...text].filter((character) => character >= ' ').join('');
  return allowed.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
