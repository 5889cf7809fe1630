/** The certificates of a PEM text (RFC 7468 §5), unread, in their order; whatever stands between them is ignored. */
export const certificateBlocks = (pem: string): readonly string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
