// A lane a track below the timeline of its source, from its first to its last frame. Those in view are drawn alone.

const LANE = { height: 15, bar: 8, shown: 10 };

function addLanes(timeline) {
  const { tracks, name } = timeline.source;
  const canvas = element("canvas", { className: "lane-plot" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${counted(tracks.length, "track")} over the frames of ${name}`);
  const room = element("div", {}, canvas);
  room.style.height = `${tracks.length * LANE.height}px`;
  const box = element("div", { className: "lanes", tabIndex: 0 }, room);
  canvas.style.height = box.style.height = `${Math.min(tracks.length, LANE.shown) * LANE.height}px`;
  const reading = element("p", { className: "reading", hidden: true });
  timeline.lanes = { box, canvas, reading };
  timeline.box.append(element("div", { className: "plot-box" }, box, reading));
  box.addEventListener("scroll", () => requestAnimationFrame(() => drawLanes(timeline)), { passive: true });
  canvas.addEventListener("pointermove", (event) => showLane(timeline, event));
  canvas.addEventListener("pointerleave", () => { reading.hidden = true; });
  canvas.addEventListener("click", (event) => {
    const track = laneAt(timeline, event);
    if (!track) return;
    if (event.offsetX < PLOT.left) chooseTrack(timeline.source.index, track.id);
    else openFrame(timeline.source.frames[nearestIn(track, frameAt(timeline, event))]);
  });
}

function laneAt(timeline, event) {
  return timeline.source.tracks[Math.floor((event.offsetY + timeline.lanes.box.scrollTop) / LANE.height)];
}

// The frame of a track that is closest to one of its source.
function nearestIn(track, index) {
  let best = track.runs[0].from;
  for (const { from, to } of track.runs) {
    const inside = Math.max(from, Math.min(to, index));
    if (Math.abs(inside - index) < Math.abs(best - index)) best = inside;
  }
  return best;
}

// The state of a track at a frame of its source; null before its first one.
function stateAt(track, index) {
  const run = track.runs.find(({ from, to }) => from <= index && index <= to);
  if (run) return STATES[run.state ?? 0];
  if (index < track.runs[0].from) return null;
  const change = track.changes.filter((entry) => entry.index <= index).pop();
  return change && change.to !== 0 ? STATES[change.to] : "not found";
}

function showLane(timeline, event) {
  const track = laneAt(timeline, event);
  const { reading, canvas } = timeline.lanes;
  reading.hidden = !track;
  if (!track) return;
  const { frames } = timeline.source;
  const at = frameAt(timeline, event);
  const number = (index) => frames[index].number.toLocaleString("en");
  const ends = `frames ${number(track.runs[0].from)} to ${number(track.runs[track.runs.length - 1].to)}`;
  const state = stateAt(track, at);
  reading.textContent = `${className(track.kind)} #${track.id}: ${ends}, found in ${track.seen.toLocaleString("en")}`
    + (state === null ? "" : ` · ${state} in frame ${number(at)}`);
  const room = canvas.clientWidth - reading.offsetWidth;
  reading.style.left = `${Math.max(0, Math.min(event.offsetX + 12, room))}px`;
}

function drawLanes(timeline) {
  const { source, lanes } = timeline;
  const { box, canvas } = lanes;
  const ratio = window.devicePixelRatio || 1;
  // As wide as the plot above, though a scroll bar may stand beside the lanes.
  const width = timeline.canvas.clientWidth;
  canvas.style.width = `${width}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(box.clientHeight * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "10px system-ui, sans-serif";
  context.textAlign = "right";
  context.textBaseline = "middle";
  const first = Math.floor(box.scrollTop / LANE.height);
  const end = Math.min(source.tracks.length, Math.ceil((box.scrollTop + box.clientHeight) / LANE.height));
  for (let i = first; i < end; i++) {
    drawLane(context, timeline, source.tracks[i], (i + 0.5) * LANE.height - box.scrollTop, width);
  }
}

function drawLane(context, timeline, track, y, width) {
  const { first, last } = timeline.span;
  const half = Math.max(0.75, (width - PLOT.left - PLOT.right) / Math.max(1, last - first) / 2);
  const x = (index) => plotX(timeline, index, width);
  const chosen = filter.track === null || filter.track === track.id;
  context.globalAlpha = chosen ? 1 : 0.25;
  context.fillStyle = themeColour("--muted");
  context.fillText(`#${track.id}`, PLOT.left - 6, y);
  const colour = trackColour(track.id);
  let change = 0;
  track.runs.forEach((run, i) => {
    const from = x(run.from) - half;
    const size = [from, y - LANE.bar / 2, x(run.to) + half - from, LANE.bar];
    context.fillStyle = css(colour, run.state ? 0.4 : 1);
    context.fillRect(...size);
    context.strokeStyle = css(colour);
    context.lineWidth = 1;
    if (run.state) context.strokeRect(size[0] + 0.5, size[1] + 0.5, Math.max(0, size[2] - 1), size[3] - 1);
    while (track.changes[change]?.index <= run.to) change += 1;
    const next = track.runs[i + 1]?.from ?? null;
    change = drawGap(context, track, { at: run.to, next, change, x, y, colour });
  });
  context.globalAlpha = 1;
}

// Frames without the object: a thin line, dashed from where it is lost. Behind the last frame as far as there are changes.
function drawGap(context, track, { at, next, change, x, y, colour }) {
  const stroke = (from, to, lost) => {
    context.strokeStyle = css(colour, 0.7);
    context.lineWidth = 1.5;
    context.setLineDash(lost ? [2, 3] : []);
    context.beginPath();
    context.moveTo(x(from), y);
    context.lineTo(x(to), y);
    context.stroke();
    context.setLineDash([]);
  };
  let lost = false;
  for (; change < track.changes.length; change++) {
    const { index, to } = track.changes[change];
    if (next !== null && index >= next) break;
    stroke(at, index, lost);
    context.fillStyle = themeColour("--doubt");
    context.fillRect(x(index) - 1, y - LANE.bar / 2, 2, LANE.bar);
    at = index;
    lost = to === 2;
  }
  if (next !== null && next > at) stroke(at, next, lost);
  return change;
}

function lanesLegend() {
  const bar = (state, text) => element("span", {}, element("i", { className: `lane ${state}` }), text);
  return [bar("visible", "a lane is a track"), bar("relocalizing", "relocalizing"), bar("gap", "not found"), bar("lost", "lost")];
}
