//! MobileSAM: segment anything with a TinyViT encoder (Zhang et al., 2023).
