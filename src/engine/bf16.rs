//! Whether this processor multiplies in bf16.

/// Whether this processor has instructions that multiply bf16 (AVX512-BF16), so that [`super::Precision::Bf16`] works on the CPU.
pub fn multiplies_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // The first is by far the rarest; what is known is kept by the standard library.
        std::arch::is_x86_feature_detected!("avx512bf16")
            && std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
