import type { Problem } from './problem.ts';
import type { ProjectFile } from './project-files.ts';

/** The rooms of `src`, and which others each may import. `.oxlintrc.json` enforces it, every room's README says it. */
export const rooms: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  model: ['errors'],
  ports: ['model', 'errors'],
  attestation: ['model', 'errors'],
  keys: ['ports', 'model', 'errors'],
  format: ['keys', 'ports', 'model', 'errors'],
  store: ['keys', 'ports', 'model', 'errors'],
  pipeline: ['format', 'keys', 'ports', 'model', 'errors'],
  'postgresql-protocol': ['errors'],
  operations: ['pipeline', 'format', 'store', 'keys', 'attestation', 'ports', 'model', 'errors'],
  adapters: ['postgresql-protocol', 'attestation', 'ports', 'model', 'errors'],
  config: ['model', 'errors'],
  server: ['operations', 'store', 'keys', 'ports', 'model', 'config', 'errors'],
  http: ['operations', 'store', 'ports', 'model', 'config', 'errors'],
  cli: ['operations', 'keys', 'ports', 'model', 'config', 'errors'],
};

/** A room's README ends with this line. */
export const mayImport = (room: string): string => `May import: ${rooms[room]?.join(', ') || 'nothing'}.`;

/** What the linter must refuse in a room: every room that is not listed. Adapters never import each other either. */
export function bannedImports(room: string): string[] {
  const allowed = room === 'adapters' ? rooms[room] : [room, ...(rooms[room] ?? [])];
  const banned = Object.keys(rooms).filter((other) => !allowed?.includes(other));
  return banned.map((other) => `#${other}/**`).toSorted();
}

/** Directories, lint rules, `package.json#imports` and READMEs must all tell of the same rooms. */
export function differentRooms(files: readonly ProjectFile[]): Problem[] {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const found = new Set(files.flatMap(({ path }) => /^src\/([^/]+)\//.exec(path)?.[1] ?? []));
  const unknown = [...found].filter((room) => !(room in rooms));
  return [
    ...unknown.map((room) => ({ where: `src/${room}`, what: 'is not a room of tools/checks/rooms.ts' })),
    ...Object.keys(rooms).flatMap((room) => problemsOfRoom(room, texts)),
  ];
}

function problemsOfRoom(room: string, texts: ReadonlyMap<string, string>): Problem[] {
  const problems: Problem[] = [];
  const readme = `src/${room}/README.md`;
  if (texts.get(readme)?.trimEnd().endsWith(mayImport(room)) !== true) {
    problems.push({ where: readme, what: `does not end with "${mayImport(room)}"` });
  }
  const { imports } = JSON.parse(texts.get('package.json') ?? '{}') as { imports?: Record<string, string> };
  if (imports?.[`#${room}/*`] !== `./src/${room}/*`) {
    problems.push({ where: 'package.json', what: `"imports" has no "#${room}/*": "./src/${room}/*"` });
  }
  const refused = refusedByLinter(room, texts.get('.oxlintrc.json') ?? '{}').toSorted();
  if (refused.join() !== bannedImports(room).join()) {
    problems.push({ where: '.oxlintrc.json', what: `must ban in src/${room}: ${bannedImports(room).join(', ')}` });
  }
  return problems;
}

interface LintConfiguration {
  readonly overrides?: readonly {
    readonly files: readonly string[];
    readonly rules: Readonly<Record<string, unknown>>;
  }[];
}

function refusedByLinter(room: string, configuration: string): string[] {
  const { overrides = [] } = JSON.parse(configuration) as LintConfiguration;
  const override = overrides.find(({ files }) => files.length === 1 && files[0] === `src/${room}/**/*.ts`);
  const rule = override?.rules['no-restricted-imports'] as [string, { patterns: { group: string[] }[] }] | undefined;
  return rule?.[1].patterns.flatMap(({ group }) => group).filter((pattern) => pattern.startsWith('#')) ?? [];
}
