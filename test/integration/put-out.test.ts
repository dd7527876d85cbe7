/** Who was taken out of a room at one node hears nothing more of it at another, however busy its record is there. */
import { eventually } from '../support/eventually';
import { connected, HttpClient, texts } from '../support/http-client';
import { twoNodes } from '../support/nodes';

const unlimited = { saysPerSecond: 0, saysPerSecondPerAddress: 0, joinsPerSecond: 0, roomsPerClient: 0 };

test('a client that writes its places all the time, while it is put out elsewhere', async () => {
  const { here, there } = await twoNodes({ config: { limits: unlimited } });
  const [ann, cat, bob] = [await connected(here), await connected(here), await connected(there)];
  const id = await bob.id();
  for (const client of [ann, cat, bob]) await client.ok('roomAdd', { room: 'noise' });
  const elsewhere = new HttpClient(here.url);
  elsewhere.headers = bob.headers;

  // What it hears moves its place, by the stream and by the polls.
  await bob.stream('ndjson');
  let over = false as boolean;
  const polled: unknown[] = [];
  const keeping = [1, 2].map(async () => {
    while (!over) polled.push(...texts(await bob.ok('messages', { wait: 1 })));
  });
  const noise = (async () => {
    for (let nth = 0; !over; nth += 1) await cat.say(`noise ${nth}`, { room: 'noise' });
  })();

  const ways: readonly ((room: string) => Promise<unknown>)[] = [
    (room) => here.api.chatRoom.removeMember(id, room),
    (room) => elsewhere.ok('roomLeave', { room }),
    (room) => here.api.chatRoom.destroy(room),
  ];
  for (let round = 0; round < 15; round += 1) {
    const room = `room${String(round % 5)}`;
    await ann.get('roomAdd', { room });
    await bob.ok('roomAdd', { room });
    await ann.say(`before ${round}`, { room });
    await bob.heard.next(({ message }) => message === `before ${round}`);

    await ways[round % ways.length]!(room);
    // Its node has heard of it by then.
    await eventually(async () => (await bob.get('roomView', { room })).status !== 200);
    await ann.get('roomAdd', { room });
    await ann.say(`after ${round}`, { room });
    await ann.say(`then ${round}`, { room: 'noise' });
    await bob.heard.next(({ message }) => message === `then ${round}`);
    expect((await bob.get('say', { room, message: 'may I' })).body).toMatchObject({ code: 'not_in_room' });
  }
  over = true;
  await Promise.all([noise, ...keeping]);

  const heard = [...bob.heard.all.map(({ message }: { message: unknown }) => message), ...polled].map(String);
  expect(heard.filter((message) => message.startsWith('before'))).not.toEqual([]);
  expect(heard.filter((message) => message.startsWith('after'))).toEqual([]);
  const { rooms } = (await bob.ok('detailsView')).details as { rooms: string[] };
  expect([...rooms].sort()).toEqual(['defaultRoom', 'noise']);
});
