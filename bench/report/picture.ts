import { spread } from '../statistics.ts';
import { ourSteps, type StepName } from '../steps.ts';
import type { RunReport } from './run-report.ts';

const width = 760;
const labelWidth = 230;
const rowHeight = 26;
const top = 48;

/** One bar for the median seconds of each step, with a line from the shortest round to the longest. */
export function picture({ rounds, logicalBytes }: RunReport): string {
  const bars = [...rounds]
    .filter(([, measured]) => measured.length > 0)
    .map(([name, measured]) => ({ name, seconds: spread(measured.map(({ wallMs }) => wallMs / 1000)) }));
  const longest = Math.max(...bars.map(({ seconds }) => seconds.maximum));
  const scale = (width - labelWidth - 80) / longest;
  const height = top + bars.length * rowHeight + 16;
  const lines = bars.map(({ name, seconds }, index) => bar(name, seconds, top + index * rowHeight, scale));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13">
<rect width="${width}" height="${height}" fill="#ffffff"/>
<text x="16" y="26" font-size="15" font-weight="600" fill="#1b1f24">Seconds for ${(logicalBytes / 1e9).toFixed(2)} GB of rows: median, and shortest to longest round</text>
${lines.join('\n')}
</svg>
`;
}

function bar(
  name: StepName,
  { minimum, median, maximum }: ReturnType<typeof spread>,
  y: number,
  scale: number,
): string {
  const at = (seconds: number): string => (labelWidth + seconds * scale).toFixed(1);
  const fill = ourSteps.includes(name) ? '#2f6f4f' : '#b8bec6';
  const middle = y + 9;
  return [
    `<text x="${labelWidth - 10}" y="${y + 14}" text-anchor="end" fill="#1b1f24">${name}</text>`,
    `<rect x="${labelWidth}" y="${y}" width="${(median * scale).toFixed(1)}" height="18" fill="${fill}"/>`,
    `<path d="M${at(minimum)} ${middle}H${at(maximum)}" stroke="#1b1f24" stroke-width="1.5"/>`,
    `<text x="${Number(at(maximum)) + 8}" y="${y + 14}" fill="#1b1f24">${median.toFixed(1)}</text>`,
  ].join('');
}
