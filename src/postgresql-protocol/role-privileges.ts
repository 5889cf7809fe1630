import { quoteIdentifier } from './identifier-quoting.ts';

/** What every engine asks of the role that restores. */
export interface RolePrivileges {
  readonly role: string;
  readonly superuser: boolean;
  readonly createDatabase: boolean;
  readonly owner: string | null;
  readonly ownsLive: boolean;
}

/** Sentences that say what the role lacks to make, rename and replace the live database, and the statement that gives it. */
export function missingOfRole({ role, createDatabase, owner, ownsLive }: RolePrivileges, live: string): string[] {
  const quoted = quoteIdentifier(role);
  return [
    ...(createDatabase
      ? []
      : [`The role ${quoted} may not create and rename databases: ALTER ROLE ${quoted} CREATEDB;`]),
    ...(ownsLive
      ? []
      : [
          `The role ${quoted} is not a member of the owner of "${live}": GRANT ${quoteIdentifier(owner!)} TO ${quoted};`,
        ]),
  ];
}

/** `others`: databases to which a role can usually connect, as words. */
export const noOtherDatabase = (live: string, others: string): string =>
  `The role can connect to no database besides "${live}", which cannot be renamed from inside: let it connect to ${others}.`;
