// Reasons to look at a frame, in words. Kinds are numbered as in the records.

const scale = facts.doubt;
const hundredth = (value) => value.toFixed(2);

const KINDS = [
  {
    name: "near the threshold",
    say: (frame, r) => `${objectName(frame, r)} scores ${hundredth(r.value)}; the threshold is ${hundredth(facts.threshold)}`,
    help: `A score less than ${scale.margin} above the threshold (${hundredth(facts.threshold)}), or less than half of what is left to 1: `
      + "the closer, the heavier.",
  },
  {
    name: "class changes",
    say: (frame, r) => `${objectName(frame, r)} is ${className(r.value)} in `
      + (r.weight < scale.weights[1] ? "a neighbouring frame" : "both neighbouring frames"),
    help: `A neighbouring frame has another class at the same place (IoU of boxes at least ${scale.same}); `
      + "half the weight for one neighbour.",
  },
  {
    name: "lone frame",
    say: (frame, r) => `${objectName(frame, r)} is in ${r.value < 2 ? "no" : "neither"} neighbouring frame`,
    help: `No neighbouring frame has anything at the object's place (IoU of boxes at least ${scale.near}); `
      + "half the weight where there is one neighbour alone.",
  },
  {
    name: "missing in between",
    say: (frame, r) => `${className(r.value)} is in the frames before and after, not in this one`,
    help: "The frames before and after have the same object, this one has nothing there.",
  },
  {
    name: "low mask score",
    say: (frame, r) => `${objectName(frame, r)} has a mask score of ${hundredth(r.value)}`,
    help: `The segmenter's own estimate of its mask's IoU is below ${scale.mask_score}: `
      + `the lower, the heavier, down to ${scale.mask_score / 2}.`,
  },
  {
    name: "overlapping",
    say: (frame, r) => `${objectName(frame, r)} lies on ${labelOf(frame.objects[r.value])}`,
    help: `Boxes of one frame with an IoU of at least ${scale.overlap}, or of one class with ${100 * scale.inside}% of the smaller `
      + "inside the larger; the weight is times that share.",
  },
];

function objectName(frame, reason) {
  const object = frame.objects[reason.object];
  return object ? className(object.kind) : "an object";
}

function doubtText(doubt) {
  return String(Math.round(100 * doubt));
}

// Kinds of a frame's reasons, the weightiest first, each once.
function kindsOf(frame) {
  return [...new Set(frame.reasons.map((reason) => reason.kind))];
}

function fillReasonsHelp() {
  const apart = `Frames are neighbours if their numbers follow each other or they are at most ${scale.apart_ms} ms apart.`;
  KINDS.forEach((kind, index) => {
    byId("reasons-help").append(
      element("dt", {}, kind.name, element("span", { className: "weight" }, `up to ${scale.weights[index]}`)),
      element("dd", {}, kind.help),
    );
  });
  byId("reasons-help").after(element("p", {}, apart));
}
