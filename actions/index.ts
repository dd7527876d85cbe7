/** The actions that the `earshot` command serves. Add a file, and a line here. */
import { chat } from './chat';
import { documentation } from './documentation';
import { status } from './status';

export const actions = [chat, documentation, status];
