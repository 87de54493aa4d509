// Opens the page of `ultramotion live --monitor` in headless Chromium: frames move, numbers change, it reconnects after the program
// was killed and started again, and says meanwhile that it is disconnected.
//
//     node tests/interop/monitor.mjs PROGRAM CLIP MODULES [SCREENSHOT]
//
// CLIP is a video in which the built-in detector finds something; MODULES is a folder in which playwright-core is installed
// (tests/interop/package.json). Chromium is chromium, chromium-browser or google-chrome of the PATH. With SCREENSHOT a picture of the
// page is written there. Exits with 1 if anything is not as it should be.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join, resolve } from "node:path";

const [program, clip, modules, screenshot] = process.argv.slice(2);
const { chromium } = createRequire(join(resolve(modules), "package.json"))("playwright-core");
const problems = [];
let checks = 0;
// A debug build on two cores needs its time for a frame.
const PATIENCE = 120_000;

function check(holds, what) {
  checks += 1;
  if (!holds) problems.push(what);
}

function browserPath() {
  for (const name of ["chromium", "chromium-browser", "google-chrome"])
    for (const folder of process.env.PATH.split(delimiter))
      if (existsSync(join(folder, name))) return join(folder, name);
  throw new Error("no Chromium on the PATH");
}

/** Starts the program; gives its process and the address of its page. */
function start(listen) {
  const options = ["live", clip, "--realtime", "--repeat", "--track", "--device", "cpu", "--monitor", listen];
  const child = spawn(program, options, { stdio: ["ignore", "ignore", "pipe"] });
  return new Promise((done, failed) => {
    let said = "";
    child.stderr.on("data", bytes => {
      said += bytes;
      const found = said.match(/monitor: (http:\/\/\S+)/);
      if (found) done({ child, address: found[1] });
    });
    child.on("exit", code => failed(new Error(`${program}: exit code ${code}\n${said}`)));
  });
}

async function main() {
  let { child, address } = await start("127.0.0.1:0");
  const browser = await chromium.launch({
    executablePath: browserPath(),
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
           "--disable-sync"],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1360, height: 800 }, colorScheme: "dark" });
    let down = false;
    const bad = [], elsewhere = [];
    // While the program is not there, the browser says so; the other warning is about this script's own reading of the canvas.
    const expected = m => (down && /net::ERR/.test(m.text())) || m.text().includes("willReadFrequently");
    page.on("console", m => { if (["error", "warning"].includes(m.type()) && !expected(m)) bad.push(m.text()); });
    page.on("pageerror", e => bad.push(String(e)));
    page.on("request", r => { if (!r.url().startsWith(address) && !r.url().startsWith("data:")) elsewhere.push(r.url()); });
    await page.goto(address);
    await live(page, "at first");
    if (screenshot) {
      await page.waitForTimeout(20_000);
      await page.screenshot({ path: screenshot });
    }
    await looks(page);

    down = true;
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
    await page.waitForFunction(() => notice.textContent === "disconnected, reconnecting" && !notice.hidden, null, { timeout: 10_000 })
      .catch(() => problems.push("it does not say that it is disconnected"));
    const before = await page.textContent("#frame");
    await page.waitForTimeout(1500);
    check(await page.textContent("#frame") === before, "numbers change though the program is not there");
    ({ child } = await start(new URL(address).host));
    await live(page, "after a restart of the program");
    down = false;
    await page.waitForTimeout(1000);
    check(bad.length === 0, `console: ${bad.slice(0, 3).join(" | ")}`);
    check(elsewhere.length === 0, `requests go elsewhere: ${elsewhere.slice(0, 3).join(", ")}`);
  } finally {
    await browser.close();
    child.removeAllListeners("exit");
    child.kill("SIGKILL");
  }
}

/** The page shows frames, which move. */
async function live(page, when) {
  const text = id => page.textContent(id);
  await page.waitForFunction(() => document.getElementById("state").textContent === "live" && +frame.textContent.replaceAll(",", "") >= 0,
    null, { timeout: PATIENCE }).catch(() => problems.push(`${when}: no frames`));
  const first = { frame: await text("#frame"), done: await text("#done"), latency: await text("#latency"), look: await look(page) };
  await page.waitForFunction(old => frame.textContent !== old.frame && done.textContent !== old.done
    && document.getElementById("latency").textContent !== old.latency, first, { timeout: PATIENCE })
    .catch(() => problems.push(`${when}: numbers do not change`));
  let moved = false;
  for (let waited = 0; waited < PATIENCE && !moved; waited += 500) {
    await page.waitForTimeout(500);
    moved = (await look(page)) !== first.look;
  }
  check(moved, `${when}: the picture does not change`);
  for (const id of ["#latency", "#decode", "#wait", "#models"]) check(+(await text(id)) >= 0, `${when}: ${id} is ${await text(id)}`);
}

/** What the canvas shows, as a number. */
function look(page) {
  return page.evaluate(() => {
    const { width, height } = view, data = view.getContext("2d").getImageData(0, 0, width, height).data;
    let sum = 0;
    for (let i = 0; i < data.length; i += 4 * 37) sum = (sum * 31 + data[i] + data[i + 1]) >>> 0;
    return sum;
  });
}

/** Whether `condition`, which runs in the page, comes to hold: at once on a fast machine, after some frames on a slow one. */
function becomes(page, condition, argument = null) {
  return page.waitForFunction(condition, argument, { timeout: PATIENCE }).then(() => true, () => false);
}

/** Whether the picture has colour, or none; frames themselves are grey. */
function hasColour(page, wanted) {
  return becomes(page, wanted => {
    const data = view.getContext("2d").getImageData(0, 0, view.width, view.height).data;
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += Math.abs(data[i] - data[i + 2]) > 60;
    return wanted ? count > 50 : count === 0;
  }, wanted);
}

async function looks(page) {
  check(await becomes(page, () => document.getElementById("tracks").rows.length > 0), "no objects are listed");
  check(await hasColour(page, true), "no outlines are drawn over the grey picture");
  for (const id of ["outlines", "boxes", "labels"]) await page.click(`#${id}`);
  check(await hasColour(page, false), "outlines cannot be switched off");
  for (const key of ["o", "b", "l"]) await page.keyboard.press(key);
  check(await page.isChecked("#outlines") && await page.isChecked("#labels"), "keys do not switch outlines");
  await page.keyboard.press("f");
  check(await becomes(page, () => notice.textContent.startsWith("frozen")), "a frozen picture is not said to be old");
  await page.keyboard.press("f");
  check(await becomes(page, () => +document.getElementById("rate").textContent > 0), "no frame rate");
  check(await page.textContent("#viewers") === "1", "one viewer");
  const background = () => page.evaluate(() => getComputedStyle(document.querySelector("header")).backgroundColor);
  const dark = await background();
  await page.emulateMedia({ colorScheme: "light" });
  check(await background() !== dark, "light is dark");
  await page.setViewportSize({ width: 420, height: 800 });
  await page.waitForTimeout(300);
  check(await becomes(page, () => document.documentElement.scrollWidth <= innerWidth), "a narrow window scrolls sideways");
  await page.setViewportSize({ width: 1360, height: 800 });
}

await main().catch(error => problems.push(String(error)));
console.log(`page of live in Chromium: 1 files, ${checks} objects, ${problems.length} wrong`);
for (const problem of problems.slice(0, 10)) console.log("  ", problem);
process.exit(problems.length ? 1 : 0);
