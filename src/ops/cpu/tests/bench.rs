//! Timings of single operations, for work on them: `cargo test --lib ops::cpu::tests::bench -- --ignored --nocapture`.

use super::random;
use crate::ops::{Activation, Conv2d, Conv2dOptions, Linear, Padding};

/// Least processor time of `runs` in milliseconds, of all threads together: other programs do not count.
fn least(runs: usize, mut f: impl FnMut()) -> f64 {
    f();
    (0..runs).fold(f64::INFINITY, |least, _| {
        let start = processor_time();
        f();
        least.min((processor_time() - start) * 1e3)
    })
}

/// Seconds of processor time that this process has used.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes the time it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
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
    for threads in [1] {
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
    for threads in [1] {
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

fn attend(name: &str, b: usize, heads: usize, (nq, nk): (usize, usize), d: usize, bias: bool) {
    let (q, k, v) = (random(&[b, nq, heads * d], 1), random(&[b, nk, heads * d], 2), random(&[b, nk, heads * d], 3));
    let bias = bias.then(|| random(&[heads, nq, nk], 4));
    for threads in [1] {
        pool(threads, || {
            let ms = least(15, || drop(crate::ops::attention(&q, &k, &v, heads, 0.2, bias.as_ref()).unwrap()));
            let flops = 4.0 * (b * heads * nq * nk * d) as f64;
            println!("{name:32} {threads} threads {ms:8.3} ms {:7.1} GFLOP/s", flops / ms / 1e6);
        });
    }
}

#[test]
#[ignore = "a measurement"]
fn attentions() {
    attend("windows 361x49 h4", 361, 4, (49, 49), 32, true);
    attend("windows 25x196 h5", 25, 5, (196, 196), 32, true);
    attend("300 h8 d32", 1, 8, (300, 300), 32, false);
    attend("400 h8 d32", 1, 8, (400, 400), 32, false);
    attend("sam t2i", 4, 8, (10, 4096), 16, false);
    attend("sam i2t", 4, 8, (4096, 10), 16, false);
    let (qkv, padding, bias) = (random(&[1, 128, 128, 384], 1), random(&[384], 2), random(&[4, 49, 49], 3));
    for threads in [1] {
        pool(threads, || {
            let ms = least(15, || drop(crate::ops::window_attention(&qkv, &padding, 7, 4, 0.2, Some(&bias)).unwrap()));
            println!("window_attention 128² w7 h4 {threads} threads {ms:8.3} ms");
        });
    }
}
