/** How much of a JSON text is built at most. */
export interface JsonLimits {
  /** Values, member names included. */
  readonly maxValues: number;
  readonly maxDepth: number;
}

/**
 * `JSON.parse` for texts of strangers: looks before it builds. A few bytes such as `{},` become a hundred in memory, so a text
 * within its byte limit could still fill the heap, which ends the whole process. Throws `SyntaxError`.
 */
export function parseBoundedJson(text: string, limits: JsonLimits): unknown {
  const problem = excess(text, limits);
  if (problem !== undefined) throw new SyntaxError(problem);
  return JSON.parse(text);
}

const quote = 0x22;
const backslash = 0x5c;
const [comma, colon] = [0x2c, 0x3a];
const [openList, closeList] = [0x5b, 0x5d];
const [openObject, closeObject] = [0x7b, 0x7d];

/** Counts what separates and encloses values, outside of strings. Whether the text is JSON at all, the parser says. */
function excess(text: string, { maxValues, maxDepth }: JsonLimits): string | undefined {
  let values = 1;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at);
        break;
      case openList:
      case openObject:
        depth += 1;
        values += 1;
        if (depth > maxDepth) return `nested deeper than ${maxDepth}`;
        break;
      case closeList:
      case closeObject:
        depth -= 1;
        break;
      case comma:
      case colon:
        values += 1;
        break;
    }
    if (values > maxValues) return `more than ${maxValues} values`;
  }
  return undefined;
}

/** Where the string that begins at `begin` ends; the end of the text where it does not. */
function endOfString(text: string, begin: number): number {
  for (let end = text.indexOf('"', begin + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
