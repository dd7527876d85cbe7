/** JSON from elsewhere: an object, or nothing. */

export type Answer = Readonly<Record<string, unknown>>;

export function parsed(text: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Answer) : undefined;
  } catch {
    return undefined;
  }
}
