import { appendFileSync } from 'node:fs';

export interface SoakJournalStep {
  readonly round: number;
  readonly step: number;
  readonly operation: string;
}

/** One line of JSON for everything that was done; what a failing run is read by. */
export class Journal {
  readonly file: string;
  #place: SoakJournalStep | undefined;

  constructor(file: string) {
    this.file = file;
  }

  begin(place: SoakJournalStep): void {
    this.#place = place;
    this.note('begin', {});
  }

  note(what: string, facts: Readonly<Record<string, unknown>>): void {
    const line = { at: new Date().toISOString(), ...this.#place, what, ...facts };
    appendFileSync(this.file, `${JSON.stringify(line)}\n`);
  }
}
