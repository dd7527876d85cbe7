/**
 * A room as a React hook: what is said in it, whether there is a link, and how to speak.
 *
 *     const { messages, link, say } = useChat('kitchen');
 */
import { useEffect, useState } from 'react';
// In a project of your own: from 'earshot/client'.
import { connect, type LinkKind, type Message } from '../src/client';

/** One client for the page, however many components use it. */
const chat = connect('/', { echo: true });

export function useChat(room: string) {
  const [messages, setMessages] = useState<readonly Message[]>([]);
  const [link, setLink] = useState<LinkKind | undefined>(chat.link);
  useEffect(() => {
    const ends = [
      chat.on('say', (message) => {
        if (message.room === room) setMessages((before) => [...before, message].slice(-200));
      }),
      chat.on('open', ({ link }) => setLink(link)),
      chat.on('close', () => setLink(undefined)),
    ];
    chat.roomAdd(room).catch(console.error);
    return () => {
      for (const end of ends) end();
      setMessages([]);
    };
  }, [room]);
  return { messages, link, say: (message: unknown) => chat.say(message, { room }) };
}
