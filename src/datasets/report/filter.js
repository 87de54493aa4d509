// Which frames are shown, in which order, and which of their objects are drawn.

const NONE = -1;
const filter = { classes: new Set(), source: null, from: 0, to: 1, reason: null, track: null, text: "", marked: false, sort: "recorded" };
let allClasses = [];
let view = [];

function passes(object) {
  const score = object.score ?? 1;
  if (filter.track !== null && object.track !== filter.track) return false;
  return filter.classes.has(object.kind) && score >= filter.from && score <= filter.to;
}

function framePasses(frame) {
  if (filter.source !== null && frame.source.index !== filter.source) return false;
  if (filter.marked && !isMarked(frame)) return false;
  if (filter.reason !== null && !frame.reasons.some((reason) => reason.kind === filter.reason)) return false;
  if (filter.text && !frame.name.toLowerCase().includes(filter.text)) return false;
  return frame.objects.length ? frame.objects.some(passes) : filter.track === null && filter.classes.has(NONE);
}

// Lowest number of the tracks of a frame that pass; those without any come last.
function firstTrack(frame) {
  return frame.objects.reduce((least, o) => (o.track !== null && passes(o) ? Math.min(least, o.track) : least), Infinity);
}

const ORDERS = {
  recorded: (a, b) => a.index - b.index,
  doubt: (a, b) => b.doubt - a.doubt || a.index - b.index,
  score: (a, b) => a.lowest - b.lowest || a.index - b.index,
  track: (a, b) => a.source.index - b.source.index || byNumber(a.firstTrack, b.firstTrack) || a.index - b.index,
  objects: (a, b) => b.objects.length - a.objects.length || a.index - b.index,
};

function byNumber(a, b) {
  return a === b ? 0 : a < b ? -1 : 1;
}

function applyFilter() {
  if (filter.sort === "track") frames.forEach((frame) => { frame.firstTrack = firstTrack(frame); });
  view = frames.filter(framePasses).sort(ORDERS[filter.sort]);
  byId("shown").textContent = view.length === frames.length
    ? counted(frames.length, "frame")
    : `${view.length.toLocaleString("en")} of ${counted(frames.length, "frame")}`;
  byId("nothing").hidden = view.length > 0;
  showView();
}

function readFilters() {
  const score = (id, otherwise) => {
    const value = byId(id).valueAsNumber;
    return Number.isFinite(value) ? value : otherwise;
  };
  const chosen = byId("source-filter").value;
  const source = chosen === "" ? null : Number(chosen);
  const other = source !== filter.source;
  const reason = byId("reason-filter").value;
  const track = byId("track-filter").valueAsNumber;
  const before = filter.track;
  Object.assign(filter, {
    source,
    from: score("score-from", 0),
    to: score("score-to", 1),
    reason: reason === "" ? null : Number(reason),
    track: Number.isInteger(track) ? track : null,
    text: byId("search").value.toLowerCase(),
    marked: byId("only-marked").checked,
    sort: byId("sort").value,
    classes: new Set([...document.querySelectorAll("#class-filter input:checked")].map((box) => Number(box.value))),
  });
  if (other) showTimelines(source);
  else if (filter.track !== before) redrawTimelines();
  applyFilter();
}

function chooseSource(index) {
  byId("source-filter").value = index === null ? "" : String(index);
  readFilters();
}

function chooseTrack(source, id) {
  const chosen = filter.track === id && filter.source === source;
  byId("track-filter").value = chosen ? "" : String(id);
  chooseSource(source);
}

function chip(kind, name, count) {
  const box = element("input", { type: "checkbox", checked: true, defaultChecked: true, value: String(kind) });
  const label = element("label", { className: "chip" }, box);
  if (kind !== NONE) label.append(swatch(classColour(kind)));
  label.append(name, element("small", {}, count.toLocaleString("en")));
  return label;
}

function fillClasses() {
  const counts = classCounts();
  const empty = frames.filter((frame) => frame.objects.length === 0).length;
  const chips = counts.map((entry) => chip(entry.kind, className(entry.kind), entry.objects));
  if (empty) chips.push(chip(NONE, "no object", empty));
  byId("class-filter").append(...chips);
  allClasses = [...counts.map((entry) => entry.kind), NONE];
  filter.classes = new Set(allClasses);
}

function fillChoices() {
  const option = (value, name) => element("option", { value }, name);
  byId("source-filter").append(option("", `all (${sources.length.toLocaleString("en")})`),
    ...sources.map((source) => option(String(source.index), source.name)));
  const counts = KINDS.map(() => 0);
  for (const frame of frames) kindsOf(frame).forEach((kind) => { counts[kind] += 1; });
  byId("reason-filter").append(option("", "any or none"),
    ...KINDS.map((kind, i) => option(String(i), `${kind.name} (${counts[i].toLocaleString("en")})`)));
}

function startFilters() {
  fillClasses();
  fillChoices();
  const tracked = sources.some((source) => source.tracks.length);
  for (const control of document.querySelectorAll("[data-tracks]")) {
    control.hidden = !tracked;
  }
  const form = byId("filters");
  form.addEventListener("input", readFilters);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(readFilters));
  document.addEventListener("marks", () => (filter.marked ? applyFilter() : refreshCards()));
  applyFilter();
}
