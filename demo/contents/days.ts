const dayMs = 24 * 60 * 60 * 1000;

export const daysBefore = (at: Date, days: number): Date => new Date(at.getTime() - days * dayMs);
