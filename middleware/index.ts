/** The chat middleware that the `earshot` command runs. Add a file, and a line here; `examples/` has some to start from. */
import type { ChatMiddleware } from '../src/kit';

export const middleware: readonly ChatMiddleware[] = [];
