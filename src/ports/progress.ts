/** Where an operation says how far it is. Never throws, never blocks. */
export interface Progress {
  /** Begins a phase; `totalBytes` where it is known. Ends the phase before. */
  phase(name: string, totalBytes?: number): void;
  advance(bytes: number): void;
  /** One line a person should read, such as a repaired chunk. */
  note(message: string): void;
  end(): void;
}
