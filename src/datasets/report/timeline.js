// For each source: scores of its objects over its frames, and the doubt of each frame below.

// Few at first, so that the frames are not far below.
const TIMELINES_FIRST = 3;
const TIMELINES_MORE = 30;
const KIND_NAMES = { image: "still pictures", sequence: "numbered pictures", video: "video", dicom: "DICOM" };
const PLOT = { left: 30, right: 8, top: 6, score: 78, gap: 6, doubt: 12, axis: 18 };
const PLOT_HEIGHT = PLOT.top + PLOT.score + PLOT.gap + PLOT.doubt + PLOT.axis;
const timelines = [];
let timelineSources = [];
let lowScore = 0;

// Where frames stand: by number, or one after the other for still pictures.
function spanOf(source) {
  if (source.kind === "image") return { first: 0, last: Math.max(1, source.frames.length - 1), at: (i) => i };
  const first = source.frames[0]?.number ?? 0;
  const last = source.frames[source.frames.length - 1]?.number ?? 0;
  return { first, last: Math.max(first + 1, last), at: (i) => source.frames[i].number };
}

function makeTimeline(source) {
  const canvas = element("canvas", { className: "plot" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Scores over the frames of ${source.name}`);
  const alone = filter.source === source.index;
  const only = element("button", { type: "button", className: "plain small", hidden: sources.length < 2 },
    alone ? "All sources" : "Only this");
  only.addEventListener("click", () => chooseSource(alone ? null : source.index));
  const head = element("div", { className: "timeline-head" },
    element("h3", { title: source.path }, source.name),
    element("span", {}, [KIND_NAMES[source.kind], counted(source.frames.length, "frame"), counted(source.objects, "object"),
      ...(source.tracks.length ? [counted(source.tracks.length, "track")] : [])].join(" · ")),
    only);
  const reading = element("p", { className: "reading", hidden: true });
  const box = element("div", { className: "timeline" }, head, element("div", { className: "plot-box" }, canvas, reading));
  const timeline = { source, canvas, box, reading, span: spanOf(source), visible: false, lanes: null };
  if (source.tracks.length) addLanes(timeline);
  canvas.addEventListener("pointermove", (event) => showReading(timeline, event));
  canvas.addEventListener("pointerleave", () => { reading.hidden = true; });
  canvas.addEventListener("click", (event) => openFrame(source.frames[frameAt(timeline, event)]));
  timelines.push(timeline);
  seen.observe(box);
  box.timeline = timeline;
  return box;
}

// Plots are drawn when they come into view.
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.timeline.visible = isIntersecting;
    if (isIntersecting) drawTimeline(target.timeline);
  }
}, { rootMargin: "200px" });

function plotX(timeline, index, width) {
  const { first, last, at } = timeline.span;
  return PLOT.left + ((at(index) - first) / (last - first)) * (width - PLOT.left - PLOT.right);
}

// The axis begins below the threshold and all scores, at a tenth.
function lowestScore() {
  const lowest = frames.reduce((least, frame) => Math.min(least, frame.lowest), facts.threshold);
  return Math.max(0, Math.floor(lowest * 10 - 0.5) / 10);
}

function plotY(score) {
  return PLOT.top + ((1 - score) / (1 - lowScore)) * PLOT.score;
}

function drawTimeline(timeline) {
  const { canvas, source } = timeline;
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(PLOT_HEIGHT * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  drawAxes(context, timeline, width);
  const inner = width - PLOT.left - PLOT.right;
  const step = inner / Math.max(1, timeline.span.last - timeline.span.first);
  const radius = Math.max(1.2, Math.min(3, step * 0.45));
  source.frames.forEach((frame, index) => {
    const x = plotX(timeline, index, width);
    for (const object of frame.objects) {
      context.fillStyle = css(colourOf(object), 0.9);
      context.beginPath();
      context.arc(x, plotY(object.score ?? 1), radius, 0, 7);
      context.fill();
    }
  });
  drawDoubt(context, timeline, width, step);
  if (timeline.lanes) drawLanes(timeline);
}

// The largest doubt of the frames that share a pixel.
function drawDoubt(context, timeline, width, step) {
  const top = PLOT.top + PLOT.score + PLOT.gap;
  const most = new Map();
  timeline.source.frames.forEach((frame, index) => {
    const x = plotX(timeline, index, width);
    const from = Math.max(PLOT.left, Math.round(x - step / 2));
    const known = most.get(from) ?? { to: from + 1, doubt: 0 };
    const to = Math.min(width - PLOT.right, Math.round(x + step / 2));
    most.set(from, { to: Math.max(known.to, to), doubt: Math.max(known.doubt, frame.doubt) });
  });
  context.fillStyle = themeColour("--doubt");
  for (const [from, { to, doubt }] of most) {
    context.globalAlpha = doubt;
    context.fillRect(from, top, to - from, PLOT.doubt);
  }
  context.globalAlpha = 1;
}

function drawAxes(context, timeline, width) {
  const faint = themeColour("--muted");
  context.font = "11px system-ui, sans-serif";
  context.strokeStyle = themeColour("--line");
  context.fillStyle = faint;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  const level = (score, text) => {
    const y = Math.round(plotY(score)) + 0.5;
    context.beginPath();
    context.moveTo(PLOT.left, y);
    context.lineTo(width - PLOT.right, y);
    context.stroke();
    if (text) context.fillText(text, PLOT.left - 6, y);
  };
  const near = (score) => Math.abs(plotY(score) - plotY(facts.threshold)) < 13;
  for (const score of [lowScore, 1]) level(score, near(score) ? "" : String(score));
  context.strokeStyle = faint;
  context.setLineDash([4, 3]);
  level(facts.threshold, String(Math.round(facts.threshold * 100) / 100));
  context.setLineDash([]);
  const top = PLOT.top + PLOT.score + PLOT.gap;
  context.strokeStyle = themeColour("--line");
  context.strokeRect(PLOT.left + 0.5, top + 0.5, width - PLOT.left - PLOT.right - 1, PLOT.doubt - 1);
  const { first, last } = timeline.span;
  context.textBaseline = "alphabetic";
  const base = PLOT_HEIGHT - 4;
  const numbers = timeline.source.kind === "image" ? [1, timeline.source.frames.length] : [first, last];
  context.textAlign = "left";
  context.fillText(numbers[0].toLocaleString("en"), PLOT.left, base);
  context.textAlign = "right";
  context.fillText(numbers[1].toLocaleString("en"), width - PLOT.right, base);
}

// The frame closest to the pointer.
function frameAt(timeline, event) {
  const { canvas, source, span } = timeline;
  const inner = canvas.clientWidth - PLOT.left - PLOT.right;
  const wanted = span.first + ((event.offsetX - PLOT.left) / inner) * (span.last - span.first);
  let low = 0;
  let high = source.frames.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (span.at(middle) < wanted) low = middle + 1;
    else high = middle;
  }
  const before = low > 0 && wanted - span.at(low - 1) < span.at(low) - wanted;
  return before ? low - 1 : low;
}

function showReading(timeline, event) {
  const frame = timeline.source.frames[frameAt(timeline, event)];
  if (!frame) return;
  const objects = frame.objects.map(labelOf).join(", ") || "no object";
  const name = frame.source.kind === "image" ? titleOf(frame) : placeOf(frame);
  timeline.reading.textContent = `${name}: ${objects} · doubt ${doubtText(frame.doubt)}`;
  timeline.reading.hidden = false;
  const room = timeline.canvas.clientWidth - timeline.reading.offsetWidth;
  timeline.reading.style.left = `${Math.max(0, Math.min(event.offsetX + 12, room))}px`;
}

function showMoreTimelines() {
  const from = timelines.length;
  const next = timelineSources.slice(from, from + (from ? TIMELINES_MORE : TIMELINES_FIRST));
  byId("timelines").append(...next.map(makeTimeline));
  const rest = timelineSources.length - timelines.length;
  byId("more-timelines").hidden = rest === 0;
  byId("more-timelines").textContent = `Show ${Math.min(rest, TIMELINES_MORE)} more of ${counted(rest, "source")}`;
}

// Timelines of all sources, or of the one that is chosen.
function showTimelines(chosen) {
  timelines.splice(0).forEach(({ box }) => seen.unobserve(box));
  byId("timelines").replaceChildren();
  timelineSources = chosen === null ? sources : [sources[chosen]];
  showMoreTimelines();
}

function redrawTimelines() {
  timelines.filter(({ visible }) => visible).forEach(drawTimeline);
}

function startTimelines() {
  byId("more-timelines").addEventListener("click", showMoreTimelines);
  const line = element("i", { className: "dashes" });
  const strip = element("i", { className: "strip" });
  byId("legend").append(element("span", {}, "a point is an object's score"), element("span", {}, line, "threshold"),
    element("span", {}, strip, "doubt"));
  if (sources.some((source) => source.tracks.length)) byId("legend").append(...lanesLegend());
  lowScore = lowestScore();
  showTimelines(null);
  document.addEventListener("theme", redrawTimelines);
  window.addEventListener("resize", () => requestAnimationFrame(redrawTimelines));
}
