/** On a narrow screen the panels are drawers. */
import { byId } from './element.js';

const drawers = [
  [byId('show-rooms'), byId('rooms-panel')],
  [byId('show-people'), byId('people-panel')],
];

export function closeDrawers() {
  for (const [button, panel] of drawers) {
    panel.classList.remove('open');
    button.setAttribute('aria-expanded', 'false');
  }
}

function openDrawer([button, panel]) {
  closeDrawers();
  panel.classList.add('open');
  button.setAttribute('aria-expanded', 'true');
}

for (const [button, panel] of drawers) {
  button.addEventListener('click', () => {
    if (panel.classList.contains('open')) return closeDrawers();
    openDrawer([button, panel]);
    panel.querySelector('button, input')?.focus();
  });
}

export function openRooms() {
  openDrawer(drawers[0]);
}
