/** One entry of a log, as a store keeps it and a tail hands it out. */
import type { EntryId } from '../protocol/entry-id';

/**
 * The logs there are: a room's messages, its joins and leaves (a log of its own, so churn never trims messages),
 * and what is told to one client alone.
 */
export type Topic = `room:${string}` | `presence:${string}` | `client:${string}`;

export function roomTopic(room: string): Topic {
  return `room:${room}`;
}
export function presenceTopic(room: string): Topic {
  return `presence:${room}`;
}
export function clientTopic(id: string): Topic {
  return `client:${id}`;
}

/** What a topic is about: the room's name or the client's public id. */
export function topicSubject(topic: Topic): string {
  return topic.slice(topic.indexOf(':') + 1);
}

/** Only hearers whose attribute `key` equals `value`, both as strings, get the entry. */
export interface Match {
  readonly key: string;
  readonly value: string;
}

export interface NewEntry {
  /** A JSON object's text without its end (protocol/message.ts). Opaque to the store, kept byte for byte. */
  readonly data: string;
  /** The speaker's public id; empty for the server. The speaker does not hear itself. */
  readonly speaker: string;
  readonly match?: Match | undefined;
}

export interface Entry extends NewEntry {
  readonly id: EntryId;
  /** The entry before this one, or the log's `born`. A reader elsewhere than at `prev` has missed something. */
  readonly prev: EntryId;
}
