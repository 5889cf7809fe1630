import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../checks/project-files.ts';
import { readInstructions, readRunSettings } from './containerfile.ts';

const text = readFileSync(join(projectRoot, 'image/Containerfile'), 'utf8');
const { version, description, license } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
  version: string;
  description: string;
  license: string;
};

const packages = readFileSync(join(projectRoot, 'image/debian-packages.txt'), 'utf8').trim().split('\n');

const valuesOf = (name: string): string[] =>
  readInstructions(text)
    .filter((each) => each.name === name)
    .map(({ value }) => value);

describe('the Containerfile', () => {
  it('runs serve as an ordinary user, with the labels of this version', () => {
    expect(readRunSettings(text)).toEqual({
      User: '65532:65532',
      ExposedPorts: { '8080/tcp': {} },
      Env: [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'NODE_ENV=production',
        'ENCLAVE_MANAGER_DATA_DIR=/data',
        'ENCLAVE_MANAGER_LISTEN=0.0.0.0:8080',
      ],
      Entrypoint: ['enclave-manager'],
      Cmd: ['serve'],
      WorkingDir: '/data',
      StopSignal: 'SIGTERM',
      Labels: {
        'org.opencontainers.image.title': 'Enclave Manager',
        'org.opencontainers.image.description': description,
        'org.opencontainers.image.version': version,
        'org.opencontainers.image.licenses': license,
        'org.opencontainers.image.base.name': 'docker.io/library/debian:12.15-slim',
      },
    });
  });

  it('takes exact versions of its bases, the one that its label names under the image', () => {
    const bases = Object.fromEntries(valuesOf('ARG').map((value) => value.split('=') as [string, string]));
    expect(bases['BUILD_IMAGE']).toMatch(/^docker\.io\/library\/node:\d+\.\d+\.\d+-bookworm-slim$/);
    expect(bases['BASE_IMAGE']).toBe(readRunSettings(text).Labels['org.opencontainers.image.base.name']);
    expect(valuesOf('FROM')).toEqual(['${BUILD_IMAGE} AS build', '${BASE_IMAGE}']);
  });

  it('puts in what the image without a container engine holds: by the same list, script and assembly', () => {
    const [install, libatomic, assemble, debian] = valuesOf('RUN');
    expect(install).toMatch(/npm ci --omit=dev --ignore-scripts$/);
    // Whatever the pinned Node needs is in the image too.
    expect(packages).toContain(libatomic?.split(' ').at(-1));
    expect(assemble).toMatch(/ tools\/assemble-image\.ts \/tree$/);
    expect(debian).toContain('</mnt/debian-packages.txt');
    expect(debian).toMatch(/sh \/mnt\/prepare-base\.sh$/);
    expect(valuesOf('COPY').at(-1)).toBe('--from=build /tree/ /');
    expect(valuesOf('COPY').filter((value) => !value.startsWith('--from'))).toEqual([
      'package.json package-lock.json .npmrc ./',
      'LICENSE ./',
      ...['bin', 'src', 'image', 'tools'].map((name) => `${name} ${name}`),
    ]);
  });

  it('sends an engine nothing of a checkout but what it copies', () => {
    const lines = readFileSync(join(projectRoot, 'image/Containerfile.dockerignore'), 'utf8').trim().split('\n');
    const names = valuesOf('COPY').flatMap((value) => (value.startsWith('--') ? [] : value.split(' ').slice(0, -1)));
    expect(lines.filter((line) => !line.startsWith('#'))).toEqual(['*', ...names.map((name) => `!${name}`)]);
  });
});

describe('reading a Containerfile', () => {
  const stage = (...lines: string[]): string =>
    ['FROM a', 'USER 1:1', 'WORKDIR /', 'EXPOSE 1', 'STOPSIGNAL SIGTERM', 'ENTRYPOINT ["a"]', 'CMD []', ...lines].join(
      '\n',
    );

  it.each([
    ['an instruction it does not know', stage('HEALTHCHECK CMD true'), 'HEALTHCHECK is not known here'],
    ['a setting that is there twice', stage('USER 0:0'), 'USER is there 2 times, not once'],
    ['a setting that is missing', 'FROM a\nUSER 1:1', 'EXPOSE is there 0 times'],
    ['a variable in a label', stage('LABEL a="$B"'), 'not one NAME=value: a="$B"'],
    ['two labels in one line', stage('LABEL a=b c=d'), 'not one NAME=value: a=b c=d'],
    ['a command for a shell', stage('RUN true').replace('["a"]', '"a"'), 'not a list of words: "a"'],
    ['a line without an instruction', stage('user 1:1'), 'not an instruction: user 1:1'],
  ])('refuses %s', (_, containerfile, message) => expect(() => readRunSettings(containerfile)).toThrow(message));

  it('reads the last stage alone', () => {
    const { User, Labels } = readRunSettings(`FROM b\nUSER 0:0\nLABEL a=first\n${stage('LABEL a="the last"')}`);
    expect({ User, Labels }).toEqual({ User: '1:1', Labels: { a: 'the last' } });
  });
});
