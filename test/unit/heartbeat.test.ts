/** Whether the other end of a WebSocket still lives, by a clock that the test turns. */
import { Heartbeat, PING_EVERY } from '../../src/transports/heartbeat';

class Pulse {
  unsent = 0;
  progress = 0;
  pings: number[] = [];
  ended: number | undefined;
  now = 0;
  readonly heartbeat = new Heartbeat(this, 0);

  ping(): void {
    this.pings.push(this.now);
  }
  terminate(): void {
    this.ended ??= this.now;
  }

  /** Looks every second. @param answers ms after which a ping is answered; undefined: never */
  live(seconds: number, answers?: number): void {
    for (const end = this.now + seconds * 1000; this.now < end && this.ended === undefined;) {
      this.now += 1000;
      const pinged = this.pings.at(-1);
      if (pinged !== undefined && answers !== undefined && this.now === pinged + answers)
        this.heartbeat.heard(this.now);
      this.heartbeat.look(this.now);
    }
  }
}

test('pings every 25 s: before a router forgets at 30, and a client of Primus leaves at 45', () => {
  const pulse = new Pulse();
  pulse.live(101, 1000);
  expect(pulse.pings).toEqual([1, 2, 3, 4].map((nth) => nth * PING_EVERY));
  expect(pulse.ended).toBeUndefined();
});

test('pings a client that talks as well: Primus leaves without a ping, however much it hears', () => {
  const pulse = new Pulse();
  for (let second = 0; second < 60; second += 1) {
    pulse.live(1);
    pulse.heartbeat.heard(pulse.now);
  }
  expect(pulse.pings).toHaveLength(2);
  expect(pulse.ended).toBeUndefined();
});

test('ends what does not answer', () => {
  const pulse = new Pulse();
  pulse.live(60);
  expect(pulse.pings).toEqual([25_000]);
  expect(pulse.ended).toBe(33_000);
});

test('a slow peer has the ping still before it: it is waited for as long as it takes something', () => {
  const pulse = new Pulse();
  pulse.live(25);
  pulse.unsent = 100;
  for (let second = 0; second < 60; second += 1) {
    pulse.progress += 1;
    pulse.live(1);
  }
  expect(pulse.ended).toBeUndefined();
  pulse.live(20);
  expect(pulse.ended).toBeDefined();
});

test('who has taken all and does not answer is dead, whatever it took before', () => {
  const pulse = new Pulse();
  for (let second = 0; second < 60; second += 1) {
    pulse.progress += 1;
    pulse.live(1);
  }
  expect(pulse.ended).toBe(33_000);
});

test('who is not read, because it asks too much, is pinged and not waited for', () => {
  const pulse = new Pulse();
  pulse.heartbeat.deaf = true;
  pulse.live(60);
  expect(pulse.pings).toEqual([25_000, 50_000]);
  pulse.heartbeat.deaf = false;
  pulse.live(14);
  expect(pulse.ended).toBeUndefined();
  pulse.live(30);
  expect(pulse.ended).toBe(83_000);
});

test('a client that pings itself is not pinged, and ends when it stops', () => {
  const pulse = new Pulse();
  pulse.heartbeat.pingsItself();
  for (let ping = 0; ping < 4; ping += 1) {
    pulse.live(25);
    pulse.heartbeat.heard(pulse.now);
  }
  expect(pulse.ended).toBeUndefined();
  pulse.live(60);
  expect(pulse.pings).toEqual([]);
  expect(pulse.ended).toBe(151_000);
});
