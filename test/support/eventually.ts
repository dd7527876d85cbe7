/** Waits for a fact instead of for a time. */

/** Polls until `check` gives something true, and answers it; fails with what it gave last. */
export async function eventually<T>(check: () => T | Promise<T>, withinMs = 15_000): Promise<NonNullable<T>> {
  const until = performance.now() + withinMs;
  for (;;) {
    const last = await check();
    if (last !== undefined && last !== null && last !== false) return last;
    if (performance.now() > until) throw new Error(`not so after ${withinMs} ms; last: ${JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}
