// Frames marked as wrong. They are remembered by the browser, for the address of this page.

const MARKS_KEY = `ultramotion-report ${location.pathname}`;
const marks = new Set();
let remembers = true;

function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    remembers = false;
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    remembers = false;
  }
}

function loadMarks() {
  const names = new Set(frames.map((frame) => frame.name));
  let stored = [];
  try {
    stored = JSON.parse(remembered(MARKS_KEY) ?? "[]");
  } catch {
    stored = [];
  }
  if (Array.isArray(stored)) stored.filter((name) => names.has(name)).forEach((name) => marks.add(name));
}

function isMarked(frame) {
  return marks.has(frame.name);
}

function toggleMark(frame) {
  if (!marks.delete(frame.name)) marks.add(frame.name);
  marksChanged();
}

function marksChanged() {
  remember(MARKS_KEY, JSON.stringify([...marks]));
  showBasket();
  document.dispatchEvent(new Event("marks"));
}

function showBasket() {
  byId("basket").hidden = marks.size === 0;
  const note = remembers ? "" : " (this browser does not keep them: download the list before you leave)";
  byId("basket-count").textContent = `${counted(marks.size, "frame")} marked as wrong${note}`;
}

function isAbsolute(path) {
  return path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path) || path.startsWith("\\\\");
}

// The path on this machine of an address below the page; relative to the page where it was not opened as a file.
function localPath(address) {
  const url = new URL(address, location.href);
  if (url.protocol !== "file:") return decodeURIComponent(address);
  const path = decodeURIComponent(url.pathname);
  return /^\/[A-Za-z]:\//.test(path) ? path.slice(1) : path;
}

// What --input takes for a frame: its own file, or its picture.
function inputOf(frame) {
  if (frame.file !== null && isAbsolute(frame.file)) return frame.file;
  const address = addressOf(frame);
  if (address !== null) return localPath(address);
  return frame.file ?? (frame.source.kind === "image" ? frame.name : frame.source.path);
}

// One path a line, in the order of the frames; where a path has a line break, each ends with a NUL byte instead.
function marksList() {
  const paths = [...new Set(frames.filter(isMarked).map(inputOf))];
  const end = paths.some((path) => /[\r\n]/.test(path)) ? "\0" : "\n";
  return paths.map((path) => path + end).join("");
}

function downloadMarks() {
  const address = URL.createObjectURL(new Blob([marksList()], { type: "text/plain" }));
  element("a", { href: address, download: "doubtful.txt" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function startMarks() {
  loadMarks();
  showBasket();
  byId("marks-download").addEventListener("click", downloadMarks);
  byId("marks-clear").addEventListener("click", () => {
    if (confirm(`Take back ${counted(marks.size, "mark")}?`)) {
      marks.clear();
      marksChanged();
    }
  });
}
