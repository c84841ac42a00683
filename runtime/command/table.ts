/** Tables for people: columns aligned by blanks. */

/** Where the cells of a column stand. */
export type Alignment = 'left' | 'right';

/**
 * Rows of cells as lines, each column as wide as its widest cell. The first row is the head. Columns without an alignment
 * are aligned to the left.
 */
export function formatTable(rows: readonly (readonly string[])[], alignments: readonly Alignment[] = []): string {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map((row) =>
      row.map((cell, at) => (alignments[at] === 'right' ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!))),
    )
    .map((row) => `${row.join('  ').trimEnd()}\n`)
    .join('');
}
