/** What a page has and a program has not. */

export const page = globalThis as unknown as {
  readonly document?: Document;
  readonly location?: Location;
  /** `locks` is there only where the page came over TLS, or from this machine. */
  readonly navigator?: { readonly locks?: LockManager };
};
