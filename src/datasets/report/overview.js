// Counts, and facts of the run.

function classCounts() {
  const counts = new Map();
  for (const frame of frames) {
    const here = new Set();
    for (const object of frame.objects) {
      const entry = counts.get(object.kind) ?? { kind: object.kind, objects: 0, frames: 0, scores: 0, scored: 0 };
      entry.objects += 1;
      if (object.score !== null) {
        entry.scores += object.score;
        entry.scored += 1;
      }
      if (!here.has(object.kind)) entry.frames += 1;
      here.add(object.kind);
      counts.set(object.kind, entry);
    }
  }
  return [...counts.values()].sort((a, b) => a.kind - b.kind);
}

function swatch(colour) {
  const made = element("i", { className: "swatch" });
  made.style.background = css(colour);
  return made;
}

function showOverview() {
  const counts = classCounts();
  const objects = counts.reduce((sum, entry) => sum + entry.objects, 0);
  const filled = frames.filter((frame) => frame.objects.length).length;
  const doubtful = frames.filter((frame) => frame.doubt >= 0.5).length;
  const tracks = sources.reduce((sum, source) => sum + source.tracks.length, 0);
  const changes = frames.reduce((sum, frame) => sum + frame.changes.length, 0);
  byId("summary").textContent =
    `${counted(frames.length, "frame")} of ${counted(sources.length, "source")}, ${counted(objects, "object")}`;
  const tile = (value, name, note) => element("div", {}, element("dt", {}, name),
    element("dd", {}, value.toLocaleString("en"), element("small", {}, note)));
  const share = (part, whole) => (whole ? `${Math.round((100 * part) / whole)}%` : "");
  byId("tiles").append(
    tile(frames.length, "Frames", counted(sources.length, "source")),
    tile(filled, "With objects", share(filled, frames.length)),
    tile(frames.length - filled, "Empty", share(frames.length - filled, frames.length)),
    tile(objects, "Objects", filled ? `${(objects / filled).toFixed(1)} a frame` : ""),
    tile(doubtful, "Doubtful", "doubt ≥ 50"),
    ...(tracks ? [tile(tracks, "Tracks", `${counted(changes, "change")} of visibility`)] : []),
  );
  showClassBars(counts);
  if (facts.facts.length) {
    byId("facts-block").hidden = false;
    for (const [name, value] of facts.facts) {
      byId("run-facts").append(element("dt", {}, name), element("dd", {}, value));
    }
  }
}

function showClassBars(counts) {
  const most = Math.max(1, ...counts.map((entry) => entry.objects));
  const rows = counts.map((entry) => {
    const bar = element("span", { className: "bar" });
    bar.style.width = `${(100 * entry.objects) / most}%`;
    bar.style.background = css(classColour(entry.kind));
    const mean = entry.scored ? (entry.scores / entry.scored).toFixed(2) : "–";
    return element("tr", {},
      element("th", { scope: "row" }, swatch(classColour(entry.kind)), className(entry.kind)),
      element("td", { className: "bar-cell", "aria-hidden": "true" }, bar),
      element("td", {}, entry.objects.toLocaleString("en")),
      element("td", {}, entry.frames.toLocaleString("en")),
      element("td", {}, mean));
  });
  if (!rows.length) return;
  const head = ["Class", "", "Objects", "Frames", "Mean score"].map((name) =>
    (name ? element("th", { scope: "col" }, name) : element("td", { className: "bar-cell" })));
  byId("class-bars").append(element("table", {},
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
}

// Light, dark, or as the system.
const THEME_KEY = "ultramotion-report theme";

function setTheme(choice) {
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
  }
  document.dispatchEvent(new Event("theme"));
}

function startTheme() {
  const choice = remembered(THEME_KEY);
  setTheme(choice === "light" || choice === "dark" ? choice : "auto");
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.addEventListener("click", () => {
      remember(THEME_KEY, button.dataset.themeChoice);
      setTheme(button.dataset.themeChoice);
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));
}

// A colour of the style sheet, as the canvas takes it.
function themeColour(name) {
  byId("probe").style.color = `var(${name})`;
  return getComputedStyle(byId("probe")).color;
}
