// Which frames are shown, in which order, and which of their objects are drawn.

const NONE = -1;
const filter = { classes: new Set(), source: null, from: 0, to: 1, reason: null, text: "", marked: false, sort: "recorded" };
let allClasses = [];
let view = [];

function passes(object) {
  const score = object.score ?? 1;
  return filter.classes.has(object.kind) && score >= filter.from && score <= filter.to;
}

function framePasses(frame) {
  if (filter.source !== null && frame.source.index !== filter.source) return false;
  if (filter.marked && !isMarked(frame)) return false;
  if (filter.reason !== null && !frame.reasons.some((reason) => reason.kind === filter.reason)) return false;
  if (filter.text && !frame.name.toLowerCase().includes(filter.text)) return false;
  return frame.objects.length ? frame.objects.some(passes) : filter.classes.has(NONE);
}

const ORDERS = {
  recorded: (a, b) => a.index - b.index,
  doubt: (a, b) => b.doubt - a.doubt || a.index - b.index,
  score: (a, b) => a.lowest - b.lowest || a.index - b.index,
  objects: (a, b) => b.objects.length - a.objects.length || a.index - b.index,
};

function applyFilter() {
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
  Object.assign(filter, {
    source,
    from: score("score-from", 0),
    to: score("score-to", 1),
    reason: reason === "" ? null : Number(reason),
    text: byId("search").value.toLowerCase(),
    marked: byId("only-marked").checked,
    sort: byId("sort").value,
    classes: new Set([...document.querySelectorAll("#class-filter input:checked")].map((box) => Number(box.value))),
  });
  if (other) showTimelines(source);
  applyFilter();
}

function chooseSource(index) {
  byId("source-filter").value = index === null ? "" : String(index);
  readFilters();
}

function chip(kind, name, count) {
  const box = element("input", { type: "checkbox", checked: true, defaultChecked: true, value: String(kind) });
  const label = element("label", { className: "chip" }, box);
  if (kind !== NONE) label.append(swatch(kind));
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
  const form = byId("filters");
  form.addEventListener("input", readFilters);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(readFilters));
  document.addEventListener("marks", () => (filter.marked ? applyFilter() : refreshCards()));
  applyFilter();
}
