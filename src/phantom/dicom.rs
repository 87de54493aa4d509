//! Multi-frame ultrasound DICOM from a phantom.
