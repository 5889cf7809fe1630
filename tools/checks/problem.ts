/** Something a check found. */
export interface Problem {
  /** Path relative to the project's root, with `:line` where there is one. */
  readonly where: string;
  readonly what: string;
}

/** Prints what was found, one line each, and sets the exit status. */
export function report(problems: readonly Problem[], checked: string): void {
  for (const { where, what } of problems) process.stderr.write(`${where}: ${what}\n`);
  if (problems.length === 0) process.stdout.write(`${checked}: no problems\n`);
  else process.exitCode = 1;
}
