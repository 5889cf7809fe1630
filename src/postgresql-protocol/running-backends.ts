/** Backend processes that may be running a statement of ours. Known by us: the name that a session gives itself is not unique. */
export type RunningBackends = Set<number>;

/** What a client of `pg` was told of the process that serves it; its types leave that out. */
export function backendOf(client: object): number | undefined {
  return 'processID' in client && typeof client.processID === 'number' ? client.processID : undefined;
}
