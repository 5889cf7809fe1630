import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import { contractScope, type Capability, type ServerUnderTest } from './database-scope.contract.ts';
import { databaseNamesContract } from './database-names.contract.ts';
import { databaseQueriesContract } from './database-queries.contract.ts';
import { databaseSwapContract } from './database-swap.contract.ts';
import { databaseTransferContract } from './database-transfer.contract.ts';

interface ContractOptions {
  /** Why the service cannot be tested on this machine. */
  readonly unavailable?: string | undefined;
  readonly lacks?: ReadonlySet<Capability>;
}

/** What the port's comments promise, tried on a real server that is the test's own. */
export function databaseServerContract(
  name: string,
  make: () => Promise<ServerUnderTest>,
  { unavailable, lacks }: ContractOptions = {},
): void {
  describe(name, () => {
    let subject: ServerUnderTest | undefined;
    beforeAll(async () => {
      if (unavailable === undefined) subject = await make();
    });
    afterAll(async () => {
      await subject?.server.close();
      await subject?.stop();
    });
    beforeEach((context) => {
      if (unavailable !== undefined) context.skip(unavailable);
    });
    const scope = contractScope(() => subject!, lacks);
    databaseNamesContract(scope);
    databaseQueriesContract(scope);
    databaseTransferContract(scope);
    databaseSwapContract(scope);
  });
}
