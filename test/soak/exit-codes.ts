import * as codes from '#errors/codes.ts';

/** Everything that docs/errors.md lists, and 0; `status` also ends with 1. */
export const exitCodes: ReadonlySet<number> = new Set([
  0,
  ...Object.values(codes.errorCodes).map(({ exitCode }) => exitCode),
]);
