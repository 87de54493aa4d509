//! Timings of single operations, for work on them: `cargo test --lib ops::cpu::tests::bench -- --ignored --nocapture`.

use super::random;
use crate::ops::{Activation, Conv2d, Conv2dOptions, Linear, Padding};
use std::time::Instant;

/// Least time of `runs` in milliseconds.
fn least(runs: usize, mut f: impl FnMut()) -> f64 {
    f();
    (0..runs).fold(f64::INFINITY, |least, _| {
        let start = Instant::now();
        f();
        least.min(start.elapsed().as_secs_f64() * 1e3)
    })
}

fn pool(threads: usize, f: impl FnOnce() + Send) {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f);
}

fn conv(name: &str, side: usize, cin: usize, cout: usize, k: usize, stride: usize, groups: usize, activation: Activation) {
    let options = Conv2dOptions { stride, padding: Padding::all(k / 2), groups, activation, affine: None };
    let layer = Conv2d::new(&random(&[cout, cin / groups, k, k], 1), Some(&random(&[cout], 2)), options).unwrap();
    let x = random(&[1, side, side, cin], 3);
    let out = side.div_ceil(stride);
    let flops = 2.0 * (out * out * cout * (cin / groups) * k * k) as f64;
    for threads in [1, 2] {
        pool(threads, || {
            let ms = least(15, || drop(layer.forward(&x).unwrap()));
            println!("{name:32} {threads} threads {ms:8.3} ms {:7.1} GFLOP/s", flops / ms / 1e6);
        });
    }
}

fn linear(name: &str, rows: usize, inner: usize, out: usize, activation: Activation) {
    let layer = Linear::new(&random(&[out, inner], 1), Some(&random(&[out], 2)), activation).unwrap();
    let x = random(&[rows, inner], 3);
    let flops = 2.0 * (rows * inner * out) as f64;
    for threads in [1, 2] {
        pool(threads, || {
            let ms = least(15, || drop(layer.forward(&x).unwrap()));
            println!("{name:32} {threads} threads {ms:8.3} ms {:7.1} GFLOP/s", flops / ms / 1e6);
        });
    }
}

#[test]
#[ignore = "a measurement"]
fn convolutions() {
    use Activation::{Gelu, Identity, Relu};
    conv("3x3 s2 3->32 640", 640, 3, 32, 3, 2, 1, Relu);
    conv("3x3 s2 3->16 640", 640, 3, 16, 3, 2, 1, Relu);
    conv("3x3 64->64 160", 160, 64, 64, 3, 1, 1, Relu);
    conv("3x3 128->128 80", 80, 128, 128, 3, 1, 1, Relu);
    conv("3x3 256->256 20", 20, 256, 256, 3, 1, 1, Relu);
    conv("1x1 512->1024 20", 20, 512, 1024, 1, 1, 1, Relu);
    conv("1x1 1024->512 20", 20, 1024, 512, 1, 1, 1, Relu);
    conv("1x1 64->256 256 gelu", 256, 64, 256, 1, 1, 1, Gelu);
    conv("1x1 64->256 256", 256, 64, 256, 1, 1, 1, Identity);
    conv("dw 5x5 256 40", 40, 256, 256, 5, 1, 256, Relu);
    conv("dw 3x3 256 256", 256, 256, 256, 3, 1, 256, Identity);
    conv("dw 3x3 s2 256 256", 256, 256, 256, 3, 2, 256, Identity);
    conv("dw 3x3 320 64", 64, 320, 320, 3, 1, 320, Identity);
    conv("dw 5x5 s2 128 80", 80, 128, 128, 5, 2, 128, Identity);
}

#[test]
#[ignore = "a measurement"]
fn linears() {
    linear("linear 4096x320->1280 gelu", 4096, 320, 1280, Activation::Gelu);
    linear("linear 4096x1280->320", 4096, 1280, 320, Activation::Identity);
    linear("linear 4096x320->960", 4096, 320, 960, Activation::Identity);
    linear("linear 300x256->1024", 300, 256, 1024, Activation::Relu);
    linear("linear 10x256->2048", 10, 256, 2048, Activation::Relu);
}
