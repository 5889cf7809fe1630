/** By how much clocks may differ. What claims to be of a later time was done by a clock that is wrong, and answers nothing. */
export const clockToleranceMs = 600_000;

/** What stands for a time of which nothing is known: everything since is due, and whatever has a time is newer. */
const longPast = new Date(0);

/** A time that has not come is a wrong clock's, and says nothing. */
export const knownTime = (time: Date, now: Date): Date =>
  time.getTime() > now.getTime() + clockToleranceMs ? longPast : time;
