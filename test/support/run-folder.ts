/** The folder that all test files of one run share, and that goes with it: global-setup makes it. */
export function runFolder(): string {
  const folder = process.env['TEST_RUN_FOLDER'];
  if (folder === undefined) throw new Error('no folder of this run: this project has no global-setup');
  return folder;
}
