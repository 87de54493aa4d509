// The results: facts of the run, sources, frames. Outlines are parsed when a frame is drawn.

const facts = JSON.parse(document.getElementById("facts").textContent);
const records = document.getElementById("frames").textContent;

const classNames = facts.classes.slice();
const sources = [];
const frames = [];

// What the numbers of states mean.
const STATES = ["visible", "relocalizing", "lost"];
const NO_CHANGES = [];

// A frame of the page: `outlines` is the place of its outlines in `records`.
function readFrame(parts, source) {
  const [name, width, height, , number, time, file, objects, doubt, reasons] = parts;
  const frame = {
    index: frames.length, name, width, height, source, number, time, file, doubt, outlines: null, changes: NO_CHANGES,
    objects: objects.map(([kind, box, score, maskScore, track, state = null]) => ({ kind, box, score, maskScore, track, state })),
    reasons: reasons.map(([kind, object, weight, value]) => ({ kind, object, weight, value })),
  };
  frame.lowest = frame.objects.reduce((least, o) => Math.min(least, o.score ?? 1), 2);
  source.frames.push(frame);
  frames.push(frame);
  return frame;
}

function newSource(name, kind, path, rate) {
  const source = { index: sources.length, name, kind, path, rate, frames: [], objects: 0, tracks: [] };
  sources.push(source);
  return source;
}

// Still pictures have the sources of their folders.
function readRecords() {
  const folders = new Map();
  let source = null;
  let last = null;
  let start = 0;
  while (start < records.length) {
    let end = records.indexOf("\n", start);
    if (end < 0) end = records.length;
    const letter = records[start];
    if (letter === "m") {
      last.outlines = [start + 1, end];
    } else if (end > start) {
      const parts = JSON.parse(records.slice(start + 1, end));
      if (letter === "c") classNames[parts[0]] = parts[1];
      if (letter === "e") last.changes = parts.map(([track, kind, from, to, score]) => ({ track, kind, from, to, score }));
      if (letter === "s") source = newSource(...parts);
      if (letter === "f") last = readFrame(parts, parts[3] ? source : folderOf(parts[0], folders));
    }
    start = end + 1;
  }
  for (const source of sources) {
    source.objects = source.frames.reduce((sum, frame) => sum + frame.objects.length, 0);
    source.tracks = tracksOf(source);
  }
}

// The tracks of a source by number: frames one after the other in the same state, by their places in the source, and changes.
function tracksOf(source) {
  const tracks = new Map();
  source.frames.forEach((frame, index) => {
    for (const { track: id, kind, state } of frame.objects) {
      if (id === null) continue;
      if (!tracks.has(id)) tracks.set(id, { id, kind, runs: [], changes: [], seen: 0 });
      const track = tracks.get(id);
      const last = track.runs[track.runs.length - 1];
      if (last?.to === index) continue;
      track.seen += 1;
      if (last?.to === index - 1 && last.state === state) last.to = index;
      else track.runs.push({ from: index, to: index, state });
    }
    for (const change of frame.changes) tracks.get(change.track)?.changes.push({ index, to: change.to });
  });
  return [...tracks.values()].sort((a, b) => a.id - b.id);
}

function folderOf(name, folders) {
  const slash = name.lastIndexOf("/");
  const folder = slash < 0 ? "" : name.slice(0, slash);
  if (!folders.has(folder)) {
    folders.set(folder, newSource(folder || "pictures", "image", folder, null));
  }
  return folders.get(folder);
}

// Outlines of a frame's objects: null, run lengths, or lists of points.
function outlinesOf(frame) {
  return frame.outlines ? JSON.parse(records.slice(...frame.outlines)) : [];
}

function className(kind) {
  return classNames[kind] ?? `class ${kind}`;
}

// Address of the frame's picture; null where there are no pictures.
function addressOf(frame) {
  if (facts.images === null) return null;
  return facts.images + frame.name.split("/").map(encodeURIComponent).join("/");
}

function titleOf(frame) {
  return frame.name.slice(frame.name.lastIndexOf("/") + 1);
}

// "frame 12 · 0.480 s": where a frame stands in its source.
function placeOf(frame) {
  if (frame.source.kind === "image") return frame.source.name;
  const time = frame.time === null ? "" : ` · ${frame.time.toFixed(3)} s`;
  return `frame ${frame.number.toLocaleString("en")}${time}`;
}

function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}
