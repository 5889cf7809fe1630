/** Whether enclaves of a build may run, in the field's words. */
export const buildStatuses = ['REJECTED', 'WHITELISTED', 'PENDING'] as const;

export type BuildStatus = (typeof buildStatuses)[number];
