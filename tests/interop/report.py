"""Opens a report in headless Chromium, as a double click would, and uses it.

    python tests/interop/report.py PAGE

PAGE is a report.html whose run has pictures, masks and at least 20 frames of one video, for example of
`ultramotion pipeline assets/phantom-demo.mp4 --write frames,report --output out`. Further pages are made of it in a
temporary folder: with hostile names, with polygons, without pictures, and with 10,000 frames, for which times are printed.

Needs: pip install playwright pycocotools numpy, and Chromium (`chromium` on the PATH, the variable CHROMIUM, or
`playwright install chromium`). Exit 0: all holds; 1: something does not; 77: it could not be run.
"""

import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import urllib.parse

try:
    import numpy as np
    from playwright.sync_api import Error, sync_playwright
    from pycocotools import mask as coco_mask
except ImportError as error:
    print(f"skipped: {error}; pip install playwright pycocotools numpy", file=sys.stderr)
    sys.exit(77)

BLOCK = r'(<script type="application/{}" id="{}">)(.*?)(</script>)'
MANY = 10_000
HOSTILE = ["a b", "ä ö ü", "#1", "what?", "50%25", "</script><script>alert(1)</script>", "<!--", "'\"&amp;", "..png"]
failures = []


def check(holds, what):
    print(("ok    " if holds else "FAILS ") + what)
    if not holds:
        failures.append(what)


class Page:
    """The text of a page, and the records in it."""

    def __init__(self, text):
        self.text = text
        self.facts = json.loads(re.search(BLOCK.format("json", "facts"), text, re.S)[2])
        block = re.search(BLOCK.format("x-ndjson", "frames"), text, re.S)[2]
        self.records = [(line[0], json.loads(line[1:])) for line in block.splitlines() if line]

    def frames(self):
        """Frames with the outlines of their objects."""
        frames = []
        for letter, value in self.records:
            if letter == "f":
                frames.append([value, [None] * len(value[7])])
            elif letter == "m":
                frames[-1][1] = value
        return frames

    def write(self, path, facts=None, records=None):
        """The page with other facts and records."""
        facts = self.facts | (facts or {})
        lines = "".join(letter + json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
                        for letter, value in records or self.records)
        inert = lambda text: text.replace("<", "\\u003c")
        text = self.text
        for kind, name, content in [("json", "facts", inert(json.dumps(facts))), ("x-ndjson", "frames", "\n" + inert(lines))]:
            text = re.sub(BLOCK.format(kind, name), lambda m: m[1] + content + m[3], text, flags=re.S)
        path.write_text(text)


class Browser:
    """A tab that collects what must not happen."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(**{"viewport": {"width": 1600, "height": 1000}} | options)
        self.page = self.context.new_page()
        self.bad, self.requests = [], []
        # The warning is about this script's own reading of canvases.
        self.page.on("console", lambda m: m.type in ("error", "warning") and "willReadFrequently" not in m.text and self.bad.append(m.text))
        self.page.on("pageerror", lambda e: self.bad.append(str(e)))
        self.page.on("dialog", lambda d: (self.bad.append(f"dialog {d.message}"), d.dismiss()))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(path.as_uri())
        self.settle()

    def settle(self):
        self.page.wait_for_timeout(400)

    def count(self):
        return int(re.match(r"[\d,]+", self.page.text_content("#shown"))[0].replace(",", ""))

    def cards(self):
        return self.page.locator(".card:visible")

    def card(self, position):
        return self.page.locator(f"#card-{position}")

    def close(self, what):
        check(not self.bad, f"{what}: no console errors, no dialogs {self.bad[:3] or ''}")
        away = [u for u in self.requests if not u.startswith(("file:", "blob:", "data:"))]
        check(not away, f"{what}: nothing is asked of a network {away[:3] or ''}")
        self.context.close()


def overlay(tab, selector):
    """Alpha of a canvas."""
    width, height, data = tab.page.evaluate(
        """selector => { const c = document.querySelector(selector);
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        return [c.width, c.height, Array.from(d.filter((_, i) => i % 4 === 3))]; }""", selector)
    return np.array(data, np.uint8).reshape(height, width)


def at_size(mask, shape):
    """Nearest pixel of `mask` for each of `shape`."""
    rows, columns = ((np.arange(n) + 0.5) * m / n for n, m in zip(shape, mask.shape))
    return mask[rows.astype(int)][:, columns.astype(int)]


def union(frame, outlines):
    height, width = frame[2], frame[1]
    masks = [coco_mask.decode({"size": [height, width], "counts": o.encode()}) for o in outlines if isinstance(o, str)]
    return np.any(masks, axis=0)


def look(browser, path, page):
    frames = page.frames()
    tab = Browser(browser, path)
    check(tab.count() == len(frames), f"{len(frames)} frames are counted")
    check(0 < tab.cards().count() <= 80, f"{tab.cards().count()} cards for the rows in view")
    loaded = tab.page.evaluate("[...document.querySelectorAll('.card:not([hidden]) img')].every(i => i.complete && i.naturalWidth > 0)")
    check(loaded, "the pictures of all cards are there")
    first = next(i for i, (_, outlines) in enumerate(frames) if any(outlines))
    check((overlay(tab, f"#card-{first} canvas") > 0).any(), "masks and boxes are drawn on a card")
    filters(tab, frames)
    keyboard(tab, path, page, frames)
    masks(tab, frames, first)
    tab.close("the page")


def filters(tab, frames):
    objects = lambda passes: sum(any(passes(o) for o in f[7]) for f, _ in frames)
    empty = sum(not f[7] for f, _ in frames)
    kinds = sorted({o[0] for f, _ in frames for o in f[7]})
    for box in tab.page.locator("#class-filter input").all():
        if box.get_attribute("value") != str(kinds[0]):
            box.uncheck()
    check(tab.count() == objects(lambda o: o[0] == kinds[0]), "filter by class")
    tab.page.fill("#score-from", "0.8")
    check(tab.count() == objects(lambda o: o[0] == kinds[0] and o[2] >= 0.8), "filter by class and score")
    tab.page.click("#filters button[type=reset]")
    tab.settle()
    check(tab.count() == len(frames), "the filters are reset")
    tab.page.fill("#score-from", "0.8")
    check(tab.count() == objects(lambda o: o[2] >= 0.8) + empty, "filter by score")
    tab.page.fill("#score-from", "0")
    tab.page.select_option("#source-filter", "0")
    check(tab.count() > 0, "filter by source")
    tab.page.select_option("#source-filter", "")
    for reason in range(6):
        tab.page.select_option("#reason-filter", str(reason))
        check(tab.count() == sum(any(r[0] == reason for r in f[9]) for f, _ in frames), f"filter by reason {reason}")
    tab.page.select_option("#reason-filter", "")
    tab.page.select_option("#sort", "doubt")
    most = max(f[8] for f, _ in frames)
    check(tab.card(0).locator(".doubt").text_content() == f"doubt {int(100 * most + 0.5)}", "the most doubtful is first")
    tab.page.select_option("#sort", "recorded")


def keyboard(tab, path, page, frames):
    names = [f[0] for f, _ in frames]
    title = lambda: tab.page.text_content("#detail-title")
    tab.page.focus("#gallery")
    for key in ["ArrowRight", "ArrowRight", "ArrowLeft", "Enter"]:
        tab.page.keyboard.press(key)
    check(title() == names[1], "arrow keys and Enter open the second frame")
    for key, expected in [("ArrowRight", 2), ("End", len(names) - 1), ("ArrowRight", len(names) - 1), ("Home", 0), ("ArrowRight", 1)]:
        tab.page.keyboard.press(key)
        check(title() == names[expected], f"{key} pages to frame {expected}")
    tab.page.keyboard.press("x")
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("x")
    check(tab.page.get_attribute("#detail-mark", "aria-pressed") == "true", "x marks a frame")
    tab.page.keyboard.press("Escape")
    check(not tab.page.locator("#detail").is_visible(), "Escape closes the large view")
    with tab.page.expect_download() as download:
        tab.page.click("#marks-download")
    text = pathlib.Path(download.value.path()).read_text()
    pictures = (path.parent / urllib.parse.unquote(page.facts["images"])).resolve()
    expected = [str(pictures / names[i]) for i in (1, 2)]
    check(download.value.suggested_filename == "doubtful.txt" and text.splitlines() == expected, f"the list has the marked pictures: {text.splitlines()}")
    check(all(os.path.isfile(line) for line in text.splitlines()), "its paths are files")
    tab.page.reload()
    tab.settle()
    check("2 frames" in tab.page.text_content("#basket-count"), "marks are remembered")
    tab.page.check("#only-marked")
    check(tab.count() == 2, "filter by mark")
    tab.page.uncheck("#only-marked")


def masks(tab, frames, first):
    tab.card(first).scroll_into_view_if_needed()
    tab.card(first).locator(".picture").click()
    tab.page.keyboard.press("b")
    tab.page.keyboard.press("l")
    tab.settle()
    for state in ["large", "enlarged"]:
        found = overlay(tab, "#viewer canvas") > 0
        expected = at_size(union(*frames[first]), found.shape)
        same = (found & expected).sum() / (found | expected).sum()
        size = f"{found.shape[1]} x {found.shape[0]}"
        check(same == 1.0, f"masks in the {state} view are those that pycocotools decodes (IoU {same:.4f} at {size})")
        tab.page.keyboard.press("z")
        tab.settle()
    tab.page.keyboard.press("m")
    check(not overlay(tab, "#viewer canvas").any(), "masks are switched off")
    tab.page.keyboard.press("Escape")


def looks(browser, path):
    grounds = set()
    for scheme in ["light", "dark"]:
        for width in [360, 768, 1600]:
            tab = Browser(browser, path, viewport={"width": width, "height": 800}, color_scheme=scheme)
            wide = tab.page.evaluate("document.documentElement.scrollWidth")
            check(wide <= width, f"{scheme}, {width} px: nothing is wider than the window ({wide})")
            ground = lambda: tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
            grounds.add(ground())
            before = ground()
            tab.page.click(f"[data-theme-choice={'dark' if scheme == 'light' else 'light'}]")
            check(ground() != before, f"{scheme}, {width} px: the switch changes the colours")
            tab.cards().first.locator(".picture").click()
            wide = tab.page.evaluate("[...document.querySelectorAll('#detail, .panel')].every(e => e.scrollWidth <= e.clientWidth + 1)")
            check(wide, f"{scheme}, {width} px: the large view fits")
            tab.close(f"{scheme}, {width} px")
    check(len(grounds) == 2, "light and dark follow the system")


def hostile(browser, folder, page, pictures):
    """Names and labels that would break out of careless pages."""
    records, source = [], pictures / page.frames()[0][0][0]
    for i, name in enumerate(HOSTILE):
        file = f"{name}/{name}.png" if "/" not in name else name + ".png"
        (folder / "bad ü#?%" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / "bad ü#?%" / file)
        records += [("c", [i, name]), ("f", [file, 512, 512, 0, 0, None, None, [[i, [10, 10, 90, 90], 0.9, None, None]], 0, []])]
    path = folder / "hostile.html"
    page.write(path, {"images": urllib.parse.quote("bad ü#?%") + "/"}, records)
    tab = Browser(browser, path)
    check(tab.count() == len(HOSTILE), "hostile names: all frames are there")
    widths = tab.page.evaluate("[...document.querySelectorAll('.card:not([hidden]) img')].map(i => i.naturalWidth)")
    check(len(widths) == len(HOSTILE) and all(widths), "hostile names: all pictures are found")
    labels = tab.page.locator("#class-bars tbody th").all_text_contents()
    check(labels == HOSTILE, "hostile names: labels are text")
    tab.page.focus("#gallery")
    for _ in HOSTILE:
        tab.page.keyboard.press("x")
        tab.page.keyboard.press("ArrowRight")
    with tab.page.expect_download() as download:
        tab.page.click("#marks-download")
    lines = pathlib.Path(download.value.path()).read_text().splitlines()
    check(len(lines) == len(HOSTILE) and all(os.path.isfile(line) for line in lines), "hostile names: the list's paths are files")
    tab.close("hostile names")


def polygons(browser, folder, page):
    """A square with a hole as its second part, without pictures."""
    outline = [[[100, 100], [300, 100], [300, 300], [100, 300]], [[200, 200], [400, 200], [400, 400], [200, 400]]]
    frame = ["a.png", 500, 500, 0, 0, None, None, [[0, [100, 100, 400, 400], None, None, None]], 0, []]
    path = folder / "polygons.html"
    page.write(path, {"images": None}, [("f", frame), ("m", [outline])])
    tab = Browser(browser, path)
    tab.card(0).locator(".picture").click()
    tab.page.keyboard.press("b")
    tab.page.keyboard.press("l")
    tab.settle()
    found = overlay(tab, "#viewer canvas") > 0
    check(abs(found.mean() - 70000 / 250000) < 0.003, f"polygons are a union, on an empty frame of the right size ({found.mean():.4f} of it)")
    check("no picture" in tab.page.text_content("#viewer"), "a missing picture is said to be missing")
    box = tab.page.locator("#viewer .stage").bounding_box()
    check(abs(box["width"] - box["height"]) < 1, "the empty frame has the picture's sides")
    tab.close("polygons without pictures")


TRACKS = {  # number -> frames that have it, and whether it is relocalizing there
    1: [(n, 0) for n in (*range(0, 41), *range(60, 100))],
    2: [(n, 1) for n in range(20, 31)],
    30: [(n, 0) for n in range(50, 55)],
}


def lane(tab, row, frame):
    """Opaque pixels down a lane at a frame, and the left edge of the lanes on the page."""
    return tab.page.evaluate("""([row, frame]) => {
      const c = document.querySelector(".lane-plot");
      const plot = document.querySelector(".plot").clientWidth;
      const x = Math.round((30 + (frame / 99) * (plot - 38)) * devicePixelRatio);
      const d = c.getContext("2d").getImageData(x, row * 15 * devicePixelRatio, 1, 15 * devicePixelRatio).data;
      return Array.from(d.filter((_, i) => i % 4 === 3)).filter((a) => a > 60).length; }""", [row, frame])


def tracks(browser, folder, page, path):
    """Three tracks, one with a gap in which it is lost, over 100 frames; and a page without tracks."""
    records = [("c", [0, "bone"]), ("s", ["clip", "video", "clip.mp4", 25.0])]
    for number in range(100):
        objects = [[0, [10 * t, 10, 10 * t + 50, 60], 0.9, None, t, dict(at)[number]] for t, at in TRACKS.items() if number in dict(at)]
        records.append(("f", [f"clip/{number:06}.png", 500, 400, 1, number, number / 25, None, objects, 0, []]))
        if number == 41:
            records.append(("e", [[1, 0, 0, 1, 0.4], [None, 0, 0, 1, 0.4]]))
        if number == 50:
            records.append(("e", [[1, 0, 1, 2, 0.1]]))
    path_of_tracks = folder / "tracks.html"
    page.write(path_of_tracks, {"images": None}, records)
    tab = Browser(browser, path_of_tracks)
    height = tab.page.locator(".lanes > div").evaluate("e => e.clientHeight")
    check(height == 15 * len(TRACKS), f"a lane a track: {height} px for {len(TRACKS)}")
    thick = {(row, n): lane(tab, row, n) for row, n in [(0, 20), (0, 45), (0, 80), (1, 25), (1, 60), (2, 52)]}
    check(all(thick[at] >= 8 for at in [(0, 20), (0, 80), (1, 25), (2, 52)]), f"lanes are full where objects are: {thick}")
    check(0 < thick[0, 45] < 5 and thick[1, 60] == 0, "a gap is a line, and there is nothing behind the last frame")
    box = tab.page.locator(".lane-plot").bounding_box()
    at = lambda row, frame: {"x": 30 + frame / 99 * (box["width"] - 38), "y": 15 * row + 7}
    tab.page.locator(".lane-plot").hover(position=at(0, 55))
    reading = tab.page.locator(".plot-box .reading").nth(1).text_content()
    check("bone #1" in reading and "frames 0 to 99" in reading and "found in 81" in reading and "lost in frame 55" in reading, f"a lane tells: {reading}")
    tab.page.locator(".lane-plot").click(position=at(0, 48))
    check(tab.page.text_content("#detail-title") == "clip/000040.png", "a click opens the closest frame of the track")
    check("#1" in tab.page.text_content("#detail-objects") and not tab.page.locator("#detail-changes").is_visible(), "its objects have numbers")
    tab.page.keyboard.press("ArrowRight")
    changes = tab.page.locator("#detail-changes li").all_text_contents()
    check(changes == ["bone #1: visible → relocalizing (0.40)", "bone: visible → relocalizing (0.40)"], f"changes are listed: {changes}")
    tab.page.keyboard.press("Escape")
    tab.page.locator(".lane-plot").click(position={"x": 10, "y": 22})
    check(tab.count() == 11, "a click on a number shows its frames alone")
    tab.page.fill("#track-filter", "1")
    check(tab.count() == 81, "filter by track")
    tab.page.click("#filters button[type=reset]")
    tab.settle()
    tab.page.select_option("#sort", "track")
    names = [tab.card(i).locator(".place").text_content() for i in (0, 1)]
    last = tab.page.evaluate("document.getElementById('shown').textContent")
    check(names[0].startswith("frame 0 ") and last == "100 frames", f"sorted by track: {names}")
    tab.close("tracks")
    plain = Browser(browser, path)
    hidden = plain.page.evaluate("[...document.querySelectorAll('[data-tracks]')].every(e => e.hidden) && !document.querySelector('.lanes')")
    tracked = any(len(o) > 4 and o[4] is not None for f, _ in page.frames() for o in f[7])
    check(hidden != tracked, "lanes and filters of tracks are there where there are tracks, and nowhere else")
    plain.close("page without tracks")


SCROLL = """async ([by, steps]) => {
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let i = 0; i < steps; i++) {
    window.scrollBy(0, by);
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""


def work(devtools):
    """Seconds that the page's scripts, styles and layout have taken."""
    metrics = {m["name"]: m["value"] for m in devtools.send("Performance.getMetrics")["metrics"]}
    return sum(metrics[name] for name in ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration"))


def many(browser, folder, page, pictures):
    """10,000 frames, each with a picture's file of its own."""
    frames = [(f, o) for f, o in page.frames() if f[7]]
    sources, records = 20, []
    for source in range(sources):
        records.append(("s", [f"clip {source}", "video", f"clip {source}.mp4", 25.0]))
        (folder / "many" / f"clip {source}").mkdir(parents=True)
        for number in range(MANY // sources):
            frame, outlines = frames[(source + number) % len(frames)]
            name = f"clip {source}/{number:06}.png"
            (folder / "many" / name).symlink_to(pictures / frame[0])
            three = [i % len(frame[7]) for i in range(3)]
            # Six hundred tracks a source, each for three frames, flicker.
            objects = [[*frame[7][i][:4], 1 + 3 * (number // 5 * 2 + number % 2) + n, number % 3 % 2] for n, i in enumerate(three)]
            records += [("f", [name, *frame[1:3], 1, number, number / 25, None, objects, frame[8], []]), ("m", [outlines[i] for i in three])]
    path = folder / "many.html"
    page.write(path, {"images": "many/"}, records)
    tab = Browser(browser, path)
    check(tab.count() == MANY, f"{MANY} frames with 3 masks each: {path.stat().st_size / 1e6:.1f} MB")
    first = tab.page.evaluate("performance.getEntriesByName('first-card')[0]?.startTime ?? 0")
    check(0 < first < 3000, f"{MANY} frames: first card with its masks after {first:.0f} ms")
    took = tab.page.evaluate("""() => { const t = performance.now(); const box = document.querySelector('.lanes');
      for (let i = 0; i < 20; i++) { box.scrollTop += 300; box.dispatchEvent(new Event('scroll')); }
      return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - t)))); }""")
    check(took < 500, f"{MANY} frames: lanes of 600 tracks are drawn 20 times in {took:.0f} ms")
    tab.page.evaluate("document.getElementById('gallery').scrollIntoView()")
    devtools = tab.context.new_cdp_session(tab.page)
    devtools.send("Performance.enable")
    for name, by, steps in [("scrolling", 40, 200), ("rushing", 3000, 150)]:
        before = work(devtools)
        times = np.array(tab.page.evaluate(SCROLL, [by, steps]))
        own = 1000 * (work(devtools) - before) / steps
        # The longest depend on what else the machine does; scripts, styles and layout are the page's own.
        figures = f"median {np.median(times):.1f}, 95% {np.quantile(times, 0.95):.1f}, most {times.max():.1f}, own work {own:.1f} ms"
        check(np.median(times) < 34 and own < 16, f"{MANY} frames, {name} by {by} px a frame: {figures}")
    tab.settle()
    made = tab.page.locator(".card").count()
    check(made < 200, f"{MANY} frames: {made} cards exist")
    took = tab.page.evaluate("""() => { const t = performance.now(); const s = document.getElementById('sort');
      s.value = 'doubt'; s.dispatchEvent(new Event('input', { bubbles: true })); return performance.now() - t; }""")
    check(took < 300, f"{MANY} frames: sorted anew in {took:.0f} ms")
    memory = tab.page.evaluate("performance.memory?.usedJSHeapSize ?? 0")
    print(f"      {MANY} frames: {memory / 1e6:.0f} MB of JavaScript heap")
    tab.close(f"{MANY} frames")


def main():
    path = pathlib.Path(sys.argv[1]).resolve()
    page = Page(path.read_text())
    pictures = (path.parent / urllib.parse.unquote(page.facts["images"])).resolve()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        try:
            browser = playwright.chromium.launch(executable_path=chromium)
        except Error as error:
            print(f"skipped: no Chromium: {error}", file=sys.stderr)
            return 77
        folder = pathlib.Path(folder)
        look(browser, path, page)
        looks(browser, path)
        hostile(browser, folder, page, pictures)
        polygons(browser, folder, page)
        tracks(browser, folder, page, path)
        many(browser, folder, page, pictures)
        browser.close()
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
