// The gallery: cards exist for the rows in view alone, and are used again.

const gallery = byId("gallery");
const GAP = 14;
const CAPTION = 64;
const OVERSCAN = 1;
const REST = 90;
const cards = new Map();
const spare = [];
const waiting = new Set();
const grid = { columns: 1, width: 200, row: 200 };
let current = 0;
let drawing = false;
let rest = 0;

function measureGrid() {
  const width = gallery.clientWidth;
  const least = width < 520 ? 150 : 210;
  grid.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  grid.width = (width - GAP * (grid.columns - 1)) / grid.columns;
  grid.picture = Math.round(grid.width * 0.75);
  grid.row = grid.picture + CAPTION + GAP;
  gallery.style.setProperty("--card-width", `${grid.width}px`);
  gallery.style.setProperty("--card-height", `${grid.row - GAP}px`);
  gallery.style.setProperty("--picture", `${grid.picture}px`);
  gallery.style.height = `${Math.ceil(view.length / grid.columns) * grid.row}px`;
}

// A picture, or an empty frame of its size, with a canvas over it.
function makeStage() {
  const img = element("img", { alt: "", decoding: "async", draggable: false });
  const canvas = element("canvas");
  const note = element("span", { className: "no-picture" });
  const stage = element("div", { className: "stage" }, img, note, canvas);
  img.addEventListener("load", () => stage.classList.remove("missing"));
  img.addEventListener("error", () => {
    if (!img.getAttribute("src")) return;
    stage.classList.add("missing");
    note.textContent = "picture not found, or of a kind that the browser does not show";
  });
  return { stage, img, canvas, note };
}

// Shows a frame's picture as large as it fits into width x height.
function fitStage(parts, frame, width, height) {
  const factor = Math.min(width / frame.width, height / frame.height);
  parts.stage.style.width = `${Math.max(1, frame.width * factor)}px`;
  parts.stage.style.height = `${Math.max(1, frame.height * factor)}px`;
}

function setPicture(parts, frame) {
  const address = addressOf(frame);
  parts.stage.classList.toggle("missing", address === null);
  if (address === null) {
    parts.img.removeAttribute("src");
    parts.note.textContent = `no picture · ${frame.width} × ${frame.height}`;
  } else if (parts.img.getAttribute("src") !== address) {
    parts.img.src = address;
  }
}

function makeCard() {
  const parts = makeStage();
  const doubt = element("span", { className: "doubt" });
  const picture = element("div", { className: "picture" }, parts.stage, doubt);
  const title = element("span", { className: "name" });
  const place = element("span", { className: "place" });
  const why = element("span", { className: "why" });
  // For the pointer; the key x does the same.
  const mark = element("span", { className: "mark", title: "Mark as wrong (x)" });
  const box = element("div", { className: "card" }, picture,
    element("div", { className: "caption" }, title, place, why), mark);
  box.setAttribute("role", "option");
  const card = { ...parts, box, doubt, title, place, why, mark, position: -1, frame: null, late: false };
  picture.addEventListener("click", () => openPosition(card.position));
  mark.addEventListener("click", () => toggleMark(card.frame));
  gallery.append(box);
  return card;
}

// Gives a card a frame. While scrolling rushes, it gets no more than a name: the rest follows in showLate.
function bindCard(card, position, rushing) {
  const frame = view[position];
  Object.assign(card, { position, frame });
  card.title.textContent = frame.source.kind === "image" ? titleOf(frame) : frame.source.name;
  card.place.textContent = placeOf(frame);
  if (card.late !== rushing) card.box.classList.toggle("late", rushing);
  card.late = rushing;
  moveCard(card);
  if (!rushing) fillCard(card);
}

function fillCard(card) {
  const { position, frame } = card;
  card.box.id = `card-${position}`;
  card.box.setAttribute("aria-setsize", String(view.length));
  card.box.setAttribute("aria-posinset", String(position + 1));
  card.title.title = frame.name;
  card.why.textContent = kindsOf(frame).map((kind) => KINDS[kind].name).join(", ");
  card.why.title = frame.reasons.map((reason) => KINDS[reason.kind].say(frame, reason)).join("\n");
  card.doubt.textContent = `doubt ${doubtText(frame.doubt)}`;
  card.doubt.hidden = frame.doubt < 0.005;
  card.doubt.classList.toggle("high", frame.doubt >= 0.5);
  card.box.setAttribute("aria-label", `${frame.name}, ${counted(frame.objects.length, "object")}, doubt ${doubtText(frame.doubt)}`);
  card.canvas.width = 1;
  setPicture(card, frame);
  sizeCard(card);
  stateCard(card);
}

// Pictures and the rest that were left out while scrolling was faster than they can be seen.
function showLate() {
  for (const card of cards.values()) {
    if (!card.late) continue;
    card.late = false;
    card.box.classList.remove("late");
    fillCard(card);
  }
  drawSoon();
}

function moveCard(card) {
  const column = card.position % grid.columns;
  const row = Math.floor(card.position / grid.columns);
  card.box.style.transform = `translate(${column * (grid.width + GAP)}px, ${row * grid.row}px)`;
}

// Sizes are the same for all cards, so the style sheet has them; pictures differ.
function sizeCard(card) {
  fitStage(card, card.frame, grid.width - 2, grid.picture);
  waiting.add(card);
}

function stateCard(card) {
  const marked = isMarked(card.frame);
  card.box.classList.toggle("marked", marked);
  card.box.classList.toggle("current", card.position === current);
  card.box.setAttribute("aria-selected", String(card.position === current));
  card.mark.textContent = marked ? "wrong" : "mark";
  if (marked) card.box.setAttribute("aria-description", "marked as wrong");
  else card.box.removeAttribute("aria-description");
}

function refreshCards() {
  cards.forEach(stateCard);
}

function retire(card) {
  card.box.hidden = true;
  spare.push(card);
}

function revived(card) {
  if (card) card.box.hidden = false;
  return card;
}

function renderCards() {
  const top = -gallery.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / grid.row) - OVERSCAN) * grid.columns;
  const rows = Math.ceil(window.innerHeight / grid.row) + 1 + 2 * OVERSCAN;
  const end = Math.min(view.length, first + rows * grid.columns);
  const before = cards.size;
  const free = [];
  for (const [position, card] of cards) {
    if (position >= first && position < end) continue;
    cards.delete(position);
    waiting.delete(card);
    free.push(card);
  }
  const rushing = before > 0 && cards.size === 0;
  for (let position = first; position < end; position++) {
    if (cards.has(position)) continue;
    const card = free.pop() ?? revived(spare.pop()) ?? makeCard();
    cards.set(position, card);
    bindCard(card, position, rushing);
  }
  free.forEach(retire);
  clearTimeout(rest);
  if (rushing) rest = setTimeout(showLate, REST);
  else showLate();
}

// Overlays are drawn a few at a time, so that scrolling does not wait for them.
function drawSoon() {
  if (drawing || !waiting.size) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const until = performance.now() + 6;
    for (const card of waiting) {
      waiting.delete(card);
      drawObjects(card.canvas, card.frame, { passes, masks: true, boxes: true, labels: false, only: null, line: 1.2 });
      if (performance.now() > until) break;
    }
    if (!performance.getEntriesByName("first-card").length) performance.mark("first-card");
    drawSoon();
  });
}

// All anew: another view.
function showView() {
  cards.forEach(retire);
  cards.clear();
  waiting.clear();
  current = 0;
  measureGrid();
  renderCards();
  nameCurrent();
}

function resizeGallery() {
  const anchor = Math.floor(Math.max(0, -gallery.getBoundingClientRect().top) / grid.row) * grid.columns;
  const scrolled = gallery.getBoundingClientRect().top < 0;
  measureGrid();
  if (scrolled) {
    const top = gallery.getBoundingClientRect().top + window.scrollY;
    window.scrollTo(0, top + Math.floor(anchor / grid.columns) * grid.row);
  }
  for (const card of cards.values()) {
    moveCard(card);
    if (!card.late) sizeCard(card);
  }
  renderCards();
}

function nameCurrent() {
  if (cards.has(current)) gallery.setAttribute("aria-activedescendant", `card-${current}`);
  else gallery.removeAttribute("aria-activedescendant");
}

// Moves the current card and brings it into view.
function moveTo(position) {
  current = Math.max(0, Math.min(view.length - 1, position));
  const top = gallery.getBoundingClientRect().top + window.scrollY + Math.floor(current / grid.columns) * grid.row;
  const covered = 12;
  if (top < window.scrollY + covered) window.scrollTo(0, top - covered);
  const below = top + grid.row - window.innerHeight + 60;
  if (below > window.scrollY) window.scrollTo(0, below);
  renderCards();
  refreshCards();
  nameCurrent();
}

function galleryKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || !view.length) return;
  const page = grid.columns * Math.max(1, Math.floor(window.innerHeight / grid.row));
  const steps = {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -grid.columns, ArrowDown: grid.columns, PageUp: -page, PageDown: page,
    Home: -view.length, End: view.length,
  };
  if (event.key in steps) moveTo(current + steps[event.key]);
  else if (event.key === "Enter" || event.key === " ") openPosition(current);
  else if (event.key === "x") toggleMark(view[current]);
  else return;
  event.preventDefault();
}

function startGallery() {
  let asked = false;
  window.addEventListener("scroll", () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      renderCards();
    });
  }, { passive: true });
  new ResizeObserver(() => {
    if (gallery.clientWidth !== grid.measured) requestAnimationFrame(resizeGallery);
    grid.measured = gallery.clientWidth;
  }).observe(gallery);
  gallery.addEventListener("keydown", galleryKey);
}
