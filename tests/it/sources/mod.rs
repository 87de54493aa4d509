//! What inputs yield: frames, their order, times and pixels.

mod images;
mod inputs;
mod tiff;
mod turned;
mod video;
mod video_damage;
mod video_oracle;
