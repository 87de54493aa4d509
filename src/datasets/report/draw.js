// Masks, boxes and labels on a canvas over a picture.

// The colours of Okabe and Ito, as on overlays: from the eighth class on they return, lighter, then darker.
const BASE_COLOURS = [
  [230, 159, 0], [86, 180, 233], [0, 190, 140], [240, 228, 66], [213, 94, 0], [204, 121, 167], [70, 130, 220],
];

function classColour(kind) {
  const base = BASE_COLOURS[kind % BASE_COLOURS.length];
  const towards = (target, share) => base.map((c) => Math.round(c + (target - c) * share));
  const turn = Math.floor(kind / BASE_COLOURS.length) % 3;
  return turn === 0 ? base : turn === 1 ? towards(255, 0.45) : towards(0, 0.35);
}

// Tracks go through the colours of classes, the same in all frames, as on overlays.
function trackColour(id) {
  return classColour((id - 1) % (3 * BASE_COLOURS.length));
}

function colourOf(object) {
  return object.track === null ? classColour(object.kind) : trackColour(object.track);
}

function css(colour, alpha = 1) {
  return `rgba(${colour.join(",")},${alpha})`;
}

// COCO's compressed run lengths: groups of five bits, lowest first; from the fourth run on, differences to the run two
// before.
function runLengths(text) {
  const runs = [];
  let at = 0;
  while (at < text.length) {
    let value = 0;
    let shift = 0;
    let group;
    do {
      group = text.charCodeAt(at++) - 48;
      value += (group & 31) * 2 ** shift;
      shift += 5;
    } while (group & 32 && at < text.length);
    if (group & 16) value -= 2 ** shift;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

// Sets the pixels of `target` (width, height, cover) whose centres lie in the mask.
function coverRuns(runs, frame, target) {
  const { width, height } = frame;
  const across = target.width / width;
  const down = target.height / height;
  let position = 0;
  let inside = false;
  for (const run of runs) {
    const end = Math.min(position + run, width * height);
    while (inside && position < end) {
      const column = Math.floor(position / height);
      const from = position - column * height;
      const to = Math.min(height, from + end - position);
      const right = Math.min(target.width, Math.ceil((column + 1) * across - 0.5));
      const top = Math.max(0, Math.ceil(from * down - 0.5));
      const bottom = Math.min(target.height, Math.ceil(to * down - 0.5));
      for (let x = Math.max(0, Math.ceil(column * across - 0.5)); x < right; x++) {
        for (let y = top; y < bottom; y++) target.cover[y * target.width + x] = 1;
      }
      position += to - from;
    }
    position = end;
    inside = !inside;
  }
}

const scratch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

// The same for polygons, of which the mask is the union.
function coverPolygons(polygons, frame, target) {
  scratch.canvas.width = target.width;
  scratch.canvas.height = target.height;
  scratch.scale(target.width / frame.width, target.height / frame.height);
  for (const points of polygons) {
    scratch.beginPath();
    points.forEach(([x, y], i) => (i ? scratch.lineTo(x, y) : scratch.moveTo(x, y)));
    scratch.fill("evenodd");
  }
  const { data } = scratch.getImageData(0, 0, target.width, target.height);
  for (let i = 0; i < target.cover.length; i++) target.cover[i] = data[4 * i + 3] > 127 ? 1 : 0;
}

const FILL = 0.35;

// Blends the covered pixels into `data`, those at the edge fully.
function blendCover(target, data, colour, edge) {
  const { width, height, cover } = target;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!cover[i]) continue;
      const border = x < edge || y < edge || x >= width - edge || y >= height - edge ||
        !cover[i - edge] || !cover[i + edge] || !cover[i - edge * width] || !cover[i + edge * width];
      const alpha = border ? 1 : FILL;
      const under = (data[4 * i + 3] / 255) * (1 - alpha);
      const total = alpha + under;
      for (let c = 0; c < 3; c++) {
        data[4 * i + c] = (colour[c] * alpha + data[4 * i + c] * under) / total;
      }
      data[4 * i + 3] = 255 * total;
    }
  }
}

function drawMasks(context, frame, objects, edge) {
  const outlines = outlinesOf(frame);
  const { width, height } = context.canvas;
  const target = { width, height, cover: new Uint8Array(width * height) };
  const picture = context.createImageData(width, height);
  for (const index of objects) {
    const outline = outlines[index];
    if (!outline) continue;
    target.cover.fill(0);
    if (typeof outline === "string") coverRuns(runLengths(outline), frame, target);
    else coverPolygons(outline, frame, target);
    blendCover(target, picture.data, colourOf(frame.objects[index]), edge);
  }
  context.putImageData(picture, 0, 0);
}

function labelOf(object) {
  const score = object.score === null ? "" : ` ${object.score.toFixed(2)}`;
  const track = object.track === null ? "" : ` #${object.track}`;
  const state = object.state ? ` ${STATES[object.state]}` : "";
  return className(object.kind) + track + score + state;
}

function drawBox(context, frame, object, line) {
  const across = context.canvas.width / frame.width;
  const down = context.canvas.height / frame.height;
  const [x0, y0, x1, y1] = object.box;
  context.lineWidth = line;
  context.strokeStyle = css(colourOf(object));
  context.setLineDash(object.state ? [4 * line, 4 * line] : []);
  context.strokeRect(x0 * across, y0 * down, (x1 - x0) * across, (y1 - y0) * down);
  context.setLineDash([]);
}

// The first place for a plate that no other covers: above the box, inside it, below it, or further down.
function placeLabel(context, box, size, taken) {
  const x = Math.max(0, Math.min(box.left, context.canvas.width - size.wide));
  const free = (y) => y >= 0 && y + size.high <= context.canvas.height &&
    !taken.some((t) => x < t.x + t.wide && t.x < x + size.wide && y < t.y + t.high && t.y < y + size.high);
  const places = [box.top - size.high, box.top, box.bottom];
  for (let i = 1; i < 8; i++) places.push(box.top + i * size.high);
  const y = places.find(free) ?? Math.max(0, box.top);
  taken.push({ x, y, ...size });
  return [x, y];
}

function drawLabel(context, frame, object, letters, taken) {
  const text = labelOf(object);
  context.font = `600 ${letters}px system-ui, sans-serif`;
  const wide = Math.ceil(context.measureText(text).width + letters * 0.8);
  const high = Math.ceil(letters * 1.5);
  const down = context.canvas.height / frame.height;
  const left = (object.box[0] * context.canvas.width) / frame.width;
  const box = { left, top: object.box[1] * down, bottom: object.box[3] * down };
  const [x, y] = placeLabel(context, box, { wide, high }, taken);
  context.fillStyle = "rgba(10,12,14,0.82)";
  context.fillRect(x, y, wide, high);
  context.fillStyle = css(colourOf(object));
  context.fillRect(x, y, letters * 0.2, high);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  context.fillText(text, x + letters * 0.5, y + high / 2);
}

// Draws the objects for which `show.passes` holds, or `show.only` one, higher scores over lower ones; `show.masks`, `boxes` and
// `labels` say what of them, `line` how thick.
function drawObjects(canvas, frame, show) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  const context = canvas.getContext("2d");
  const objects = frame.objects.map((_, i) => i).filter((i) => show.passes(frame.objects[i]));
  objects.sort((a, b) => (frame.objects[a].score ?? 1) - (frame.objects[b].score ?? 1));
  const chosen = show.only === null ? objects : objects.filter((i) => i === show.only);
  if (show.masks && chosen.length) drawMasks(context, frame, chosen, Math.max(1, Math.round(ratio * show.line)));
  if (show.boxes) for (const i of chosen) drawBox(context, frame, frame.objects[i], ratio * show.line);
  const taken = [];
  if (show.labels) for (const i of chosen.reverse()) drawLabel(context, frame, frame.objects[i], 12 * ratio, taken);
}
