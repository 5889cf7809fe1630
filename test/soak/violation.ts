/** A promise that was not kept. Ends the run; everything on disk stays as it is. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export function require(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Violation(what());
}
