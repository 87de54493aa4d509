// One frame, large.

const detail = byId("detail");
const large = makeStage();
const shown = { frame: null, position: 0, only: null, zoom: 1 };
const ZOOM = 3;
// Longest side of a canvas, in pixels of the screen.
const LONGEST = 4096;

function openPosition(position) {
  if (!view[position]) return;
  moveTo(position);
  showDetail(view[position], position);
}

// A frame that the filters may have left out is shown without its neighbours in the view.
function openFrame(frame) {
  if (!frame) return;
  const position = view.indexOf(frame);
  if (position < 0) showDetail(frame, null);
  else openPosition(position);
}

function showDetail(frame, position) {
  Object.assign(shown, { frame, position, only: null, zoom: 1 });
  if (!detail.open) detail.showModal();
  byId("detail-title").textContent = frame.name;
  const order = position === null ? "not among the frames shown"
    : `${(position + 1).toLocaleString("en")} of ${view.length.toLocaleString("en")}`;
  byId("detail-place").textContent = `${placeOf(frame)} · ${frame.width} × ${frame.height} · ${order}`;
  byId("previous").disabled = !position;
  byId("next").disabled = position === null || position + 1 >= view.length;
  setPicture(large, frame);
  showObjects(frame);
  showChanges(frame);
  showReasons(frame);
  showFile(frame);
  showMarkState();
  fitDetail();
  preload(position);
}

function fitDetail() {
  if (!shown.frame || !detail.open) return;
  const viewer = byId("viewer");
  // Room without scroll bars, whether they are there or not.
  const { width, height } = viewer.getBoundingClientRect();
  const most = LONGEST / (window.devicePixelRatio || 1);
  const zoom = Math.max(1, Math.min(shown.zoom, most / width, most / height));
  viewer.classList.toggle("zoomed", zoom > 1);
  fitStage(large, shown.frame, width * zoom, Math.max(120, height) * zoom);
  drawDetail();
}

// Enlarges around a point of the picture, given in shares of its sides, or goes back to the whole picture.
function toggleZoom(across = 0.5, down = 0.5) {
  const viewer = byId("viewer");
  shown.zoom = shown.zoom > 1 ? 1 : ZOOM;
  fitDetail();
  viewer.scrollTo(across * large.stage.offsetWidth - viewer.clientWidth / 2, down * large.stage.offsetHeight - viewer.clientHeight / 2);
}

function drawDetail() {
  const show = { masks: byId("show-masks").checked, boxes: byId("show-boxes").checked, labels: byId("show-labels").checked };
  drawObjects(large.canvas, shown.frame, { ...show, passes: () => true, only: shown.only, line: 2 });
}

function showObjects(frame) {
  const number = (value) => (value === null ? "–" : value.toFixed(2));
  const rows = frame.objects.map((object, index) => {
    const [x0, y0, x1, y1] = object.box;
    const row = element("tr", { tabIndex: 0 },
      element("th", { scope: "row" }, swatch(colourOf(object)), className(object.kind) + (object.track === null ? "" : ` #${object.track}`),
        ...(object.state ? [element("small", {}, STATES[object.state])] : [])),
      element("td", {}, number(object.score)), element("td", {}, number(object.maskScore)),
      element("td", {}, `${Math.round(x1 - x0)} × ${Math.round(y1 - y0)}`));
    const only = (value) => () => {
      shown.only = value;
      drawDetail();
    };
    // A row that comes under a pointer at rest is not pointed at.
    row.addEventListener("mousemove", (event) => {
      if (shown.only !== index && (event.movementX || event.movementY)) only(index)();
    });
    row.addEventListener("focus", only(index));
    for (const name of ["mouseleave", "blur"]) row.addEventListener(name, only(null));
    return row;
  });
  const head = ["Class", "Score", "Mask score", "Box, px"].map((name) => element("th", { scope: "col" }, name));
  byId("detail-objects").replaceChildren(rows.length
    ? element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows))
    : element("p", { className: "quiet" }, "No object was found in this frame."));
}

function showReasons(frame) {
  const items = frame.reasons.map((reason) => element("li", {},
    element("span", { className: "weight" }, reason.weight.toFixed(2)),
    element("span", {}, `${KINDS[reason.kind].name}: ${KINDS[reason.kind].say(frame, reason)}`)));
  const sum = element("p", { className: "quiet" }, items.length
    ? `Doubt ${doubtText(frame.doubt)} of 100, from the largest weight of each kind.`
    : "Nothing here is doubtful: doubt 0 of 100.");
  byId("detail-reasons").replaceChildren(element("ul", { className: "reasons" }, ...items), sum);
}

function showChanges(frame) {
  const items = frame.changes.map(({ track, kind, from, to, score }) => element("li", {},
    `${className(kind)}${track === null ? "" : ` #${track}`}: ${from === null ? "" : `${STATES[from]} → `}${STATES[to]} (${score.toFixed(2)})`));
  byId("detail-changes").hidden = items.length === 0;
  byId("detail-changes").querySelector("ul").replaceChildren(...items);
}

function showFile(frame) {
  const address = addressOf(frame);
  const parts = [];
  if (address !== null) parts.push(element("a", { href: address, target: "_blank", rel: "noopener" }, frame.name));
  if (frame.file !== null) parts.push(element("span", {}, frame.file));
  else if (frame.source.path) parts.push(element("span", {}, frame.source.path));
  byId("detail-file").replaceChildren(...parts);
}

function showMarkState() {
  if (!shown.frame) return;
  const marked = isMarked(shown.frame);
  byId("detail-mark").setAttribute("aria-pressed", String(marked));
  byId("detail-mark").textContent = marked ? "Marked as wrong" : "Mark as wrong";
}

function preload(position) {
  for (const other of [position + 1, position - 1]) {
    const address = position !== null && view[other] && addressOf(view[other]);
    if (address) new Image().src = address;
  }
}

function step(by) {
  if (shown.position !== null && view[shown.position + by]) openPosition(shown.position + by);
}

function detailKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const layers = { m: "show-masks", b: "show-boxes", l: "show-labels" };
  if (event.key === "ArrowRight" || event.key === "ArrowDown") step(1);
  else if (event.key === "ArrowLeft" || event.key === "ArrowUp") step(-1);
  else if (event.key === "Home" && shown.position !== null) openPosition(0);
  else if (event.key === "End" && shown.position !== null) openPosition(view.length - 1);
  else if (event.key === "PageDown") step(Math.min(10, view.length - 1 - shown.position));
  else if (event.key === "PageUp") step(-Math.min(10, shown.position));
  else if (event.key === "x") toggleMark(shown.frame);
  else if (event.key === "z") toggleZoom();
  else if (layers[event.key]) byId(layers[event.key]).click();
  else return;
  event.preventDefault();
}

// With "marked only", a mark that is taken back changes the view under the frame shown.
function followMarks() {
  showMarkState();
  if (!detail.open || !filter.marked) return;
  const position = view.indexOf(shown.frame);
  showDetail(shown.frame, position < 0 ? null : position);
}

function startDetail() {
  byId("viewer").append(large.stage);
  large.stage.addEventListener("click", (event) => {
    const place = large.stage.getBoundingClientRect();
    toggleZoom((event.clientX - place.left) / place.width, (event.clientY - place.top) / place.height);
  });
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("detail-mark").addEventListener("click", () => toggleMark(shown.frame));
  byId("detail-close").addEventListener("click", () => detail.close());
  detail.addEventListener("keydown", detailKey);
  detail.addEventListener("close", () => gallery.focus({ preventScroll: true }));
  for (const id of ["show-masks", "show-boxes", "show-labels"]) byId(id).addEventListener("change", drawDetail);
  document.addEventListener("marks", followMarks);
  new ResizeObserver(fitDetail).observe(byId("viewer"));
}
