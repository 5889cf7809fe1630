import type { SealingRefusal } from '#ports/sealing.ts';

/** Why this host's TPM does not open what it, or another one, sealed; and what to do. */

export function otherTpm(sealedBy: Buffer, present: Buffer): SealingRefusal {
  return {
    reason: `it was sealed by another TPM (${shortened(sealedBy)}) than the one in this host (${shortened(present)})`,
    hint: 'Put the TPM or mainboard back, or enrol this host anew from an enrolled one: node invite, then node enrol.',
  };
}

export function clearedTpm(): SealingRefusal {
  return {
    reason: 'the TPM of this host was cleared since, and its keys with it',
    hint: 'Enrol this host again from an enrolled one: node invite, then node enrol. It keeps its place in the cluster.',
  };
}

export function changedRegisters(changed: readonly number[], approvable: boolean): SealingRefusal {
  const meanings = changed.map((index) => `PCR ${index} (${meaningOf(index)})`);
  return {
    reason: `this host did not start as it did when the key was sealed: ${meanings.join(', ')} changed`,
    hint: `After a wanted change of firmware or boot, ${approvable ? 'have it approved (node measure here, node approve-firmware where the approval key is), or ' : ''}enrol this host again from an enrolled one: node invite, then node enrol. It keeps its place in the cluster. Otherwise find out who changed it; with the old firmware and settings back, the key opens again.`,
  };
}

/** TCG PC Client Platform Firmware Profile, "PCR Usage"; 8 to 15 as GRUB, systemd and shim use them. */
function meaningOf(index: number): string {
  return meanings[index] ?? 'operating system or boot loader';
}

const meanings: readonly string[] = [
  'firmware',
  'firmware settings',
  'option ROMs',
  'settings of option ROMs',
  'boot loader',
  'partition table',
  'platform maker',
  'Secure Boot',
];

const shortened = (digest: Buffer): string => `tpm2:${digest.toString('hex').slice(0, 16)}…`;
