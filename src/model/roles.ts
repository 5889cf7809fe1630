/** What a user may do: a reader looks; a writer has apps, builds and tasks of his own; a manager does and approves everything. */
export const roles = ['reader', 'writer', 'manager'] as const;

export type Role = (typeof roles)[number];

export type Permission = 'look' | 'write-own' | 'write-all' | 'approve';

const permissions: Readonly<Record<Role, readonly Permission[]>> = {
  reader: ['look'],
  writer: ['look', 'write-own'],
  manager: ['look', 'write-own', 'write-all', 'approve'],
};

export const isPermitted = (role: Role, permission: Permission): boolean => permissions[role].includes(permission);
