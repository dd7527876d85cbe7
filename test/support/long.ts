/** Faults have a short form, which `npm test` runs, and a long one: `npm run test:faults:long`. */

export const long = process.env['FAULTS'] === 'long';

/** Of what a short one is proof enough for every day. */
export const longTest = long ? test : test.skip;
