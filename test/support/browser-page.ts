/** Pages of one Chromium for a test file, whose every complaint fails the test. */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { launchChromium } from './chromium';

let browser: Browser | undefined;
const complaints: string[] = [];

beforeAll(async () => {
  browser = await launchChromium();
});
afterEach(async () => {
  await Promise.all(browser?.contexts().map((context) => context.close()) ?? []);
  expect(complaints.splice(0)).toEqual([]);
});

afterAll(() => browser?.close());

/** @param expected what the browser may complain of: answers that the test asks for, such as a 401 */
export async function openPage(url: string, expected = /^$/, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser!.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complain = (what: string): void => {
    if (!expected.test(what)) complaints.push(what);
  };
  page.on('pageerror', (error) => complain(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complain(message.text());
  });
  await page.goto(url);
  return page;
}
