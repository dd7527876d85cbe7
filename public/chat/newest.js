/** The newest line stays in sight, unless one reads further up. */
import { byId } from './element.js';

function isDown() {
  const { scrollHeight, scrollTop, clientHeight } = byId('conversation');
  return scrollHeight - scrollTop - clientHeight < 80;
}

let down = true;

export function followDown() {
  if (down) scrollDown();
  else byId('down').hidden = false;
}

export function scrollDown() {
  const conversation = byId('conversation');
  conversation.scrollTop = conversation.scrollHeight;
  byId('down').hidden = true;
}

byId('conversation').addEventListener('scroll', () => {
  down = isDown();
  if (down) byId('down').hidden = true;
});
byId('down').addEventListener('click', scrollDown);
addEventListener('resize', () => {
  if (down) scrollDown();
});
