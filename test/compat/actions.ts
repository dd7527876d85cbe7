/** Two actions for old clients to ask for. */
import { z } from 'zod';
import { defineAction } from '../../src/kit';

const anything = z.union([z.string(), z.looseObject({})]);

/** Gives back the inputs it was given: shows which params reached an action, sticky ones or a request's own. */
export const repeat = defineAction({
  name: 'repeat',
  description: 'gives back what it was given',
  inputs: z.object({ key: anything, value: anything.optional() }),
  run: ({ params }) => ({ repeated: params }),
});

/** Stays unfinished until the test opens it, so "too many at once" needs no sleep. */
export class Gate {
  open = (): void => {};
  readonly #opened = new Promise<void>((resolve) => (this.open = resolve));

  readonly action = defineAction({
    name: 'gate',
    description: 'answers when the test lets it',
    inputs: z.object({}),
    run: async () => {
      await this.#opened;
      return { passed: true };
    },
  });
}
