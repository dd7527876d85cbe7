/** Whoever says it, however: everyone else in the room hears it, however, and the speaker does not. */
import { deployments } from '../support/nodes';
import { ways, type Chatter } from '../support/transports';

const texts = ['plain', 'two  spaces, "quotes", \\n and \u{1d11e} ü \u2028', ' ', '{"not":"json"}'];

describe.each(deployments)('on $where', ({ start }) => {
  test.each(ways)('$name says, and all others hear', async ({ connect }) => {
    const { here, there } = await start();
    const speaker = await connect(here);
    const hearers: Chatter[] = [];
    for (const node of new Set([here, there])) for (const way of ways) hearers.push(await way.connect(node));

    const said: { readonly id: string }[] = [];
    for (const text of texts) said.push(await speaker.say(text));
    const expected = texts.map((message, nth) => ({
      message,
      room: 'defaultRoom',
      from: speaker.id,
      context: 'user',
      sentAt: Number(said[nth]!.id.split('-')[0]),
      id: said[nth]!.id,
    }));
    for (const hearer of hearers) for (const message of expected) expect(await hearer.next()).toEqual(message);

    // What it hears first is what somebody else says: its own words did not come to it.
    await hearers.at(-1)!.say('back');
    expect(await speaker.next()).toMatchObject({ message: 'back', from: hearers.at(-1)!.id });
  });

  test('JSON values arrive as they are, from where they can be said', async () => {
    const { here, there } = await start();
    const values = [{ deep: [1, null, 'x'] }, [], 7, false, null];
    const hearers = await Promise.all(ways.map((way) => way.connect(there)));
    for (const [nth, { connect }] of ways.entries()) {
      const speaker = await connect(here);
      const value = values[nth % values.length];
      await speaker.say(value);
      for (const hearer of hearers) expect(await hearer.next()).toMatchObject({ message: value, from: speaker.id });
    }
  });
});
