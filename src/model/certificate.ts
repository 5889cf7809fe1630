export const certificateStatuses = ['issued', 'pending', 'revoked'] as const;

export type CertificateStatus = (typeof certificateStatuses)[number];
