import { EnclaveManagerError } from '#errors/enclave-manager-error.ts';

/** What people call a host and where it stands. */
export interface NewNode {
  readonly name: string;
  readonly site: string | null;
}

const maxLength = 63;

/** 1 to 63 printable characters of any script, no control or invisible ones, no space at either end. */
export function isNodeName(text: string): boolean {
  return text.length >= 1 && text.length <= maxLength && text.trim() === text && !/[\p{C}\p{Zl}\p{Zp}]/u.test(text);
}

/** Throws `usage` when a name or site cannot be used. */
export function checkNewNode(node: NewNode): void {
  for (const [what, text] of Object.entries({ name: node.name, site: node.site })) {
    if (text === null || isNodeName(text)) continue;
    throw new EnclaveManagerError('usage', `${JSON.stringify(text.slice(0, 80))} cannot be a node's ${what}.`, {
      hint: `A ${what} has 1 to ${maxLength} printable characters and no space at either end.`,
    });
  }
}
