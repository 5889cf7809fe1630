import type { Spread } from './statistics.ts';

/** One line of the table: what was measured, and what it was to be. Smaller is better in every unit. */
export interface Row {
  readonly work: string;
  readonly measured: Spread;
  readonly unit: 'ratio' | 'percent' | 'MB' | 's' | 'ms' | 'bytes';
  /** What counts as reached; absent where nothing was promised. */
  readonly target?: number;
  readonly stretch?: number;
}

export function verdict({ measured, target, stretch }: Row): 'stretch' | 'hit' | 'missed' | '' {
  if (target === undefined) return '';
  if (stretch !== undefined && measured.median <= stretch) return 'stretch';
  return measured.median <= target ? 'hit' : 'missed';
}
