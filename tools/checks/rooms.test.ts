import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot, readProjectFiles } from './project-files.ts';
import { bannedImports, differentRooms, mayImport, rooms } from './rooms.ts';

const oxlint = join(dirname(createRequire(import.meta.url).resolve('oxlint/package.json')), 'bin/oxlint');
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'enclave-manager-rooms-'));
  for (const name of ['.oxlintrc.json', 'package.json', 'tsconfig.json'])
    cpSync(join(projectRoot, name), join(directory, name));
  symlinkSync(join(projectRoot, 'node_modules'), join(directory, 'node_modules'));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The rules that the linter reports for these sources, as `path rule`. */
function lint(sources: Readonly<Record<string, string>>): string[] {
  rmSync(join(directory, 'src'), { recursive: true, force: true });
  for (const [path, text] of Object.entries(sources)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const args = [oxlint, '--format', 'json', 'src'];
  const { stdout } = spawnSync(process.execPath, args, { cwd: directory, encoding: 'utf8' });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
  return diagnostics.map(({ filename, code }) => `${filename} ${code}`).toSorted();
}

const restricted = 'eslint(no-restricted-imports)';
const cycle = 'import(no-cycle)';
const value = (from: string): string => `export { value } from '${from}';\n`;

describe('the linter', () => {
  it('lets every room import what it may and nothing else', () => {
    const names = Object.keys(rooms);
    const sources: Record<string, string> = {};
    for (const room of names) {
      sources[`src/${room}/value.ts`] = 'export const value = 1;\n';
      for (const other of names) sources[`src/${room}/imports-${other}.ts`] = value(`#${other}/value.ts`);
    }
    const expected = names.flatMap((room) =>
      bannedImports(room).map((pattern) => `src/${room}/imports-${pattern.slice(1, -3)}.ts ${restricted}`),
    );
    expect(lint(sources)).toEqual(expected.toSorted());
  });

  it('refuses paths upwards, also in dynamic imports and between adapters', () => {
    const sources = {
      'src/keys/value.ts': 'export const value = 1;\n',
      'src/model/value.ts': 'export const value = 1;\n',
      'src/keys/upward.ts': value('../model/value.ts'),
      'src/keys/dynamic.ts': "export const load = (): Promise<unknown> => import('../model/value.ts');\n",
      'src/adapters/one/value.ts': 'export const value = 1;\n',
      'src/adapters/two/neighbour.ts': value('../one/value.ts'),
      'src/adapters/two/room.ts': value('#adapters/one/value.ts'),
    };
    const refused = ['adapters/two/neighbour', 'adapters/two/room', 'keys/dynamic', 'keys/upward'];
    expect(lint(sources)).toEqual(refused.map((name) => `src/${name}.ts ${restricted}`));
  });

  it('sees cycles inside a room, through room names and of types alone', () => {
    const sources = {
      'src/keys/a.ts': "import { b } from './b.ts';\nexport const a = (): number => b();\n",
      'src/keys/b.ts': "import { a } from './a.ts';\nexport const b = (): number => a();\n",
      'src/format/c.ts': "import type { D } from './d.ts';\nexport type C = D | 1;\n",
      'src/format/d.ts': "import type { C } from './c.ts';\nexport type D = C[];\n",
      'src/main.ts': "import { e } from '#cli/e.ts';\nexport const main = (): number => e();\n",
      'src/cli/e.ts': "import { f } from '#keys/f.ts';\nexport const e = (): number => f();\n",
      'src/keys/f.ts': "import { e } from '#cli/e.ts';\nexport const f = (): number => e();\n",
    };
    const inCycles = ['cli/e', 'format/c', 'format/d', 'keys/a', 'keys/b', 'keys/f'];
    const expected = [...inCycles.map((name) => `src/${name}.ts ${cycle}`), `src/keys/f.ts ${restricted}`];
    expect(lint(sources)).toEqual(expected.toSorted());
  });

  it('refuses time, randomness and environment outside adapters and composition roots', () => {
    const ambient = 'export const now = Date.now();\nexport const home = process.env["HOME"];\n';
    const reported = lint({
      'src/model/ambient.ts': `${ambient}export const chance = Math.random();\n`,
      'src/keys/random.ts': "export { randomBytes } from 'node:crypto';\n",
      'src/adapters/system/ambient.ts': ambient,
      'src/main.ts': ambient,
    });
    const property = 'src/model/ambient.ts eslint(no-restricted-properties)';
    expect(reported).toEqual([`src/keys/random.ts ${restricted}`, property, property, property]);
  });
});

describe('the table of rooms', () => {
  const files = readProjectFiles(projectRoot);

  it('agrees with directories, lint rules, package.json and READMEs', () => {
    expect(differentRooms(files)).toEqual([]);
  });

  it('is compared with each of them', () => {
    const changed = files.map((file) => {
      if (file.path === '.oxlintrc.json') return { ...file, text: file.text.replace('"#cli/**"', '"#model/**"') };
      return file.path === 'src/model/README.md' ? { ...file, text: file.text.replace(mayImport('model'), '') } : file;
    });
    const places = differentRooms([...changed, { path: 'src/attic/x.ts', text: '' }]).map(({ where }) => where);
    expect(places).toEqual(expect.arrayContaining(['src/attic', 'src/model/README.md', '.oxlintrc.json']));
  });
});
