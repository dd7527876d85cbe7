/**
 * A bot: rolls dice for whoever asks in its room. It is a client like any other, on whatever machine.
 *
 *     npx tsx examples/bot.ts http://localhost:8080 games
 *     earshot chat games            then say: !roll 2d6
 */
// In a project of your own: from 'earshot/client'.
import { connect, type ChatClient } from '../src/client/node';

const MOST_DICE = 20;

export function rolled(dice: number, sides: number, random = Math.random): number[] {
  return Array.from({ length: dice }, () => 1 + Math.floor(random() * sides));
}

export async function diceBot(url: string, room: string): Promise<ChatClient> {
  const chat = connect(url);
  chat.on('say', (heard) => {
    const [, dice = '', sides = ''] = /^!roll (\d{1,2})d(\d{1,3})$/.exec(String(heard.message)) ?? [];
    if (heard.room !== room || sides === '' || Number(dice) > MOST_DICE) return;
    const rolls = rolled(Number(dice), Number(sides));
    const answer = { for: heard.from, rolls, total: rolls.reduce((sum, roll) => sum + roll, 0) };
    // The id of what is answered makes a good key: sent again, the answer is said once. A key counts for one client, so a
    // bot that is to be the same one after a restart is given a `storage`.
    chat.say(answer, { room, key: heard.id }).catch((error: unknown) => console.error(error));
  });
  await chat.roomAdd(room);
  return chat;
}

if (require.main === module) {
  const [url = 'http://localhost:8080', room = 'games'] = process.argv.slice(2);
  void diceBot(url, room).then(({ id }) => console.log(`rolling dice in ${room} as ${String(id)}`));
}
