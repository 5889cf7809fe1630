import { posix } from 'node:path';
import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';

const linkPattern = /\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g;

/** Relative links in Markdown must lead to a file or directory of the project, and `#…` to a heading of it. */
export function brokenLinks(files: readonly ProjectFile[]): Problem[] {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const directories = new Set(files.flatMap(({ path }) => parents(path)));
  const problems: Problem[] = [];
  for (const { path, text } of files.filter((file) => file.path.endsWith('.md'))) {
    for (const [target, line] of links(text)) {
      const problem = problemOfLink(path, target, texts, directories);
      if (problem !== undefined) problems.push({ where: `${path}:${line}`, what: problem });
    }
  }
  return problems;
}

function problemOfLink(
  from: string,
  target: string,
  texts: ReadonlyMap<string, string>,
  directories: ReadonlySet<string>,
): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return undefined;
  const [encodedPath = '', anchor] = target.split('#', 2);
  const path = decodeURI(encodedPath);
  const resolved = path === '' ? from : posix.normalize(posix.join(posix.dirname(from), path)).replace(/\/$/, '');
  const text = texts.get(resolved);
  if (text === undefined) return directories.has(resolved) ? undefined : `there is no ${target}`;
  if (anchor === undefined || !resolved.endsWith('.md') || headings(text).has(decodeURI(anchor))) return undefined;
  return `${resolved} has no heading #${anchor}`;
}

function* links(text: string): Generator<[target: string, line: number]> {
  for (const [index, line] of withoutCode(text).split('\n').entries()) {
    for (const [, target] of line.matchAll(linkPattern)) if (target !== undefined) yield [target, index + 1];
  }
}

/** Blanks fenced and inline code, keeping the lines. */
function withoutCode(text: string): string {
  const blank = (code: string): string => code.replaceAll(/[^\n]/g, ' ');
  return text.replaceAll(/^(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\1/gm, blank).replaceAll(/`[^`\n]+`/g, blank);
}

/** The anchors that GitHub gives to headings. */
function headings(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, title = ''] of text.matchAll(/^#{1,6}\s+(.*)$/gm)) {
    const plain = title
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '');
    const anchor = plain.replaceAll(/\s/g, '-');
    for (let count = 0, unique = anchor; ; unique = `${anchor}-${++count}`) {
      if (anchors.has(unique)) continue;
      anchors.add(unique);
      break;
    }
  }
  return anchors;
}

function parents(path: string): string[] {
  const parent = posix.dirname(path);
  return parent === '.' ? ['.'] : [parent, ...parents(parent)];
}
