// The page on which @cornerstonejs/adapters reads a DICOM Segmentation in a browser; tests/interop/seg.py bundles it with
// esbuild and gives it `job`: the object in base64, and what is known of each frame of the source.
// It ends with the label maps of each frame, one list for each set that the segments need, in the document's body.
import { metaData } from "@cornerstonejs/core";
import { adaptersSEG } from "@cornerstonejs/adapters";

const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return btoa(text);
}

// What a viewer knows of a frame of the source.
function provider(images) {
  const added = {};
  const get = (type, id) => {
    if (type === "instance" && added[id]) return added[id];
    const image = images.find((image) => image.id === id);
    if (!image) return undefined;
    const [rows, columns] = image.shape;
    const iop = image.orientation ?? [1, 0, 0, 0, 1, 0];
    const [rowSpacing, columnSpacing] = image.spacing ?? [1, 1];
    return {
      instance: { SOPInstanceUID: image.instance, Rows: rows, Columns: columns, NumberOfFrames: image.frames },
      generalImageModule: { sopInstanceUID: image.instance },
      generalSeriesModule: { seriesInstanceUID: image.series, modality: image.modality },
      imagePixelModule: { rows, columns, samplesPerPixel: 1, bitsAllocated: 8, pixelRepresentation: 0 },
      imagePlaneModule: {
        rows, columns,
        imageOrientationPatient: iop, rowCosines: iop.slice(0, 3), columnCosines: iop.slice(3),
        imagePositionPatient: image.position ?? [0, 0, 0],
        pixelSpacing: [rowSpacing, columnSpacing], rowPixelSpacing: rowSpacing, columnPixelSpacing: columnSpacing,
        frameOfReferenceUID: image.reference,
      },
    }[type];
  };
  return { get, addInstance: (id, instance) => { added[id] = instance; }, add: (id, instance) => { added[id] = instance; } };
}

async function read(job) {
  const metadataProvider = provider(job.images);
  metaData.addProvider(metadataProvider.get, 10000);
  const ids = job.images.map((image) => image.id);
  const buffer = fromBase64(job.seg).buffer;
  const found = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(ids, buffer, { metadataProvider });
  const maps = found.labelMapImages.map((set) =>
    set.map((image) => {
      const [rows, columns] = job.images[0].shape;
      const bytes = new Uint8Array(rows * columns);
      for (let at = 0; at < bytes.length; at++) bytes[at] = image.voxelManager.getAtIndex(at);
      return toBase64(bytes);
    }),
  );
  return { maps, overlapping: found.overlappingSegments, labels: found.segMetadata.data.map((s) => s?.SegmentLabel) };
}

read(globalThis.job)
  .catch((error) => ({ error: `${error.stack ?? error}` }))
  .then((result) => { document.body.textContent = `RESULT${JSON.stringify(result)}END`; });
