//! DICOM: attributes, pixel data, geometry, UIDs.
