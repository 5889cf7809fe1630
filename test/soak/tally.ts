import type { SoakJournalStep } from './journal.ts';

/** How often each kind of thing happened: a run that asserts nothing about these could do nothing. */
export class Tally {
  readonly counts = new Map<string, number>();

  add(name: string, times = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + times);
  }

  of(prefix: string): number {
    let sum = 0;
    for (const [name, count] of this.counts) if (name.startsWith(prefix)) sum += count;
    return sum;
  }

  names(prefix: string): string[] {
    return [...this.counts.keys()].filter((name) => name.startsWith(prefix)).toSorted();
  }

  step({ operation }: SoakJournalStep): void {
    this.add(`operation: ${operation}`);
  }

  lines(): string[] {
    return [...this.counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${count}\t${name}`);
  }
}
