/** `node --import shift-clock.ts src/main.ts …`: the program with a wall clock that is wrong by SOAK_CLOCK_OFFSET_MS. */
const offsetMs = Number(process.env['SOAK_CLOCK_OFFSET_MS'] ?? 0);
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...values: []) {
    if (values.length === 0) super(RealDate.now() + offsetMs);
    else super(...values);
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
