//! Checkpoints: where they come from (path, hub, cache), what is in them (safetensors, `.pth`, `.pt`), and the
//! names their tensors have.
