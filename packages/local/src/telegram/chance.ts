/**
 * Decides by chance, but always the same way: a number in [0, 1) that follows from the seed, whom it is about and how
 * often they have been asked about. So a drill repeats whatever the order in which chats get their turn.
 */
export function createChance(seed: number): (subject: string) => number {
  const asked = new Map<string, number>();
  return (subject) => {
    const times = (asked.get(subject) ?? 0) + 1;
    asked.set(subject, times);
    return hash(`${seed} ${subject} ${times}`) / 2 ** 32;
  };
}

/** FNV-1a, finished by MurmurHash3's mixer. */
function hash(text: string): number {
  let mixed = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x01000193);
  }
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
