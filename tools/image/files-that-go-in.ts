/** Whether a file of the checkout's `src` and `bin` runs in production. */
export const runsInProduction = (path: string): boolean => !/\.(?:test|fixture|contract)\.ts$|\.md$/.test(path);

/** What packages bring for readers, compilers and testers, at their own top. */
const directoriesForOthers = /^(?:\.github|benchmarks?|docs?|examples?|include|integration|share|tests?)$/;
const filesForOthers = /\.(?:a|map|ts|mts|cts|md|markdown|html|yml|yaml|flow|tsbuildinfo)$/;
const licence = /^(?:licen[cs]e|notice|copying|copyright)/i;

/**
 * Whether a file of an installed package is needed. `path` is relative to the package. Dropped is only what Node cannot
 * run and nobody reads at run time; licences stay. PostgreSQL's own `share` and `lib` are one level deeper.
 */
export function isNeeded(path: string): boolean {
  const parts = path.split('/');
  const [top, name] = [parts[0] ?? '', parts.at(-1) ?? ''];
  if (licence.test(name)) return true;
  if (parts.length > 1 && directoriesForOthers.test(top)) return false;
  if (name.startsWith('.') || filesForOthers.test(name)) return false;
  return !/\.test\.[cm]?js$/.test(name) && !path.includes('/pkgconfig/');
}
