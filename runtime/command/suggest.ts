/** "Did you mean …?" */

/** `, did you mean x?` with the candidate nearest to `word`, or nothing when none is near. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  // A third of the letters may be wrong: enough for a slip, too little to propose a quite different word.
  const near = best !== undefined && best.distance <= Math.max(1, Math.floor(best.candidate.length / 3));
  return near ? `, did you mean ${best.candidate}?` : '';
}

/**
 * Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`: the optimal string alignment
 * distance.
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(substitution, last[j]! + 1, row[j - 1]! + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) distance = Math.min(distance, beforeLast[j - 2]! + 1);
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
