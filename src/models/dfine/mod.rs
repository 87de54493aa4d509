//! D-FINE: object detection by fine-grained distribution refinement (Peng et al., 2024).
