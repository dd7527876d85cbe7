/** Loaded before a process' own code (`node --require`): its wall clock is off by CLOCK_OFFSET ms, the steady one is right. */
const offset = Number(process.env['CLOCK_OFFSET']);
const RightDate = Date;

globalThis.Date = class extends RightDate {
  constructor(...parts) {
    if (parts.length === 0) super(RightDate.now() + offset);
    else super(...parts);
  }
  static now() {
    return RightDate.now() + offset;
  }
};
