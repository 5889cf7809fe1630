/** How text for people is set off. Plain where the terminal cannot, or nobody is watching. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
}

const escape =
  (code: number) =>
  (text: string): string =>
    `\u001b[${code}m${text}\u001b[0m`;
const same = (text: string): string => text;

export const colourStyle: Style = {
  bold: escape(1),
  dim: escape(2),
  good: escape(32),
  bad: escape(31),
  warn: escape(33),
};
export const plainStyle: Style = { bold: same, dim: same, good: same, bad: same, warn: same };

/** Text from outside may not steer the terminal: control, bidirectional and other invisible characters become `?`. */
export const printable = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');

/** The same for text of several lines. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');
