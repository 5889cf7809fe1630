import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

/** What the figures depend on, without a name or a path of the machine. */
export function describeMachine(directory: string): Record<string, string> {
  return {
    processor: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} of it for us`,
    memory: `${Math.round(totalmem() / 1024 ** 3)} GiB`,
    system: `${distribution()}, Linux ${release().split('-')[0]}${isVirtual() ? ', a virtual machine' : ''}`,
    'file system': execFileSync('stat', ['-f', '-c', '%T', directory], { encoding: 'utf8' }).trim(),
    Node: process.versions.node,
  };
}

const distribution = (): string =>
  /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
const isVirtual = (): boolean => /^flags\s*:.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
