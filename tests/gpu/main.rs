//! What runs on a GPU against the CPU's code: kernels, models, graphs, times.
//!
//! Each group runs in a process of its own, so that one that breaks the device's state does not take the others with it. All
//! comparisons are printed; the exit code is 1 if one of them failed.
//!
//!     gpu                       all groups
//!     gpu GROUP…                some of them
//!     gpu --device cuda:1 …     another device
//!     gpu --small …             the small cases of slow groups, each kernel once: for compute-sanitizer

mod compiled_ahead;
mod convolutions;
mod decode;
mod decoders;
mod mask_heads;
mod mask_upscaling;
#[path = "../it/common/match_queries.rs"]
mod match_queries;
mod models;
mod normed_mlp;
mod on_device;
mod ops;
mod perceptron;
mod products;
mod report;
mod resident;
mod runs;
mod same_as_cpu;
mod sessions;
mod speed;
mod token_products;
mod tracks;
#[path = "../it/parity/dfine/weights.rs"]
mod weights;
mod yuv;

use std::process::{Command, ExitCode};
use ultramotion::engine::{DeviceSpec, Engine, Precision};

const SMALL: &str = "--small";

type Group = (&'static str, fn(&Engine) -> report::Outcome);

const GROUPS: &[Group] = &[
    ("linear", products::linear),
    ("perceptron", perceptron::same_as_cpu),
    ("conv2d", convolutions::conv2d),
    ("products-two-threads", products::two_threads),
    ("depthwise", convolutions::depthwise),
    ("inverted-residual", convolutions::inverted_residual),
    ("stem", convolutions::stem),
    ("image-pair", convolutions::image_pair),
    ("norm", ops::norm),
    ("normed-mlp", normed_mlp::same_as_cpu),
    ("pointwise", ops::pointwise),
    ("attention", ops::attention),
    ("window-attention", ops::windows),
    ("deformable-attention", ops::deformable),
    ("selection", ops::selection),
    ("boxes", ops::boxes),
    ("resize", ops::resize),
    ("masks", ops::masks),
    ("token-products", token_products::same_as_cpu),
    ("mask-heads", mask_heads::same_as_cpu),
    ("mask-upscaling", mask_upscaling::same_as_cpu),
    ("layout", ops::layout),
    ("yuv", yuv::kernels),
    ("yuv-sessions", yuv::sessions),
    ("decode", decode::files),
    ("decode-fallback", decode::fallback),
    ("decode-objects", decode::objects),
    ("decode-memory", decode::memory),
    ("dfine-n", |engine| models::dfine(engine, "n")),
    ("dfine-s", |engine| models::dfine(engine, "s")),
    ("dfine-m", |engine| models::dfine(engine, "m")),
    ("dfine-l", |engine| models::dfine(engine, "l")),
    ("dfine-x", |engine| models::dfine(engine, "x")),
    ("mobile-sam", models::mobile_sam),
    ("decoder-slots", models::decoder_slots),
    (compiled_ahead::NAME, compiled_ahead::all),
    ("choose-objects", resident::choose_objects),
    ("resident", resident::same_as_legacy),
    ("same-as-cpu", same_as_cpu::commands),
    ("tracks", tracks::same_everywhere),
    ("decoders", decoders::same_bytes),
    ("fallback", resident::fallback),
    ("two-threads", sessions::two_threads),
    ("ways-in", sessions::ways_in),
    ("results-are-copies", sessions::results_are_copies),
    ("on-device", on_device::same_as_run),
    ("on-device-order", on_device::order),
    ("on-device-layouts", on_device::layouts),
    ("on-device-refusals", on_device::refusals),
    ("on-device-two-threads", on_device::two_threads),
    ("on-device-disturbed", on_device::disturbed),
    ("two-devices", resident::two_devices),
    ("out-of-memory", models::out_of_memory),
    ("speed-dfine", speed::dfine),
    ("speed-mobile-sam", speed::mobile_sam),
    ("speed-on-device", on_device::speed),
    ("kernels-dfine-n", |engine| {
        speed::kernels_dfine(engine, "n")
    }),
    ("kernels-dfine-s", |engine| {
        speed::kernels_dfine(engine, "s")
    }),
    ("kernels-dfine-m", |engine| {
        speed::kernels_dfine(engine, "m")
    }),
    ("kernels-dfine-l", |engine| {
        speed::kernels_dfine(engine, "l")
    }),
    ("kernels-mobile-sam", speed::kernels_mobile_sam),
];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--nocapture" && !a.starts_with("--test-threads"))
        .collect();
    let device = match arguments.iter().position(|a| a == "--device") {
        Some(at) if at + 1 < arguments.len() => {
            let device = arguments.remove(at + 1);
            arguments.remove(at);
            device
        }
        _ => "cuda".to_owned(),
    };
    if let Some(at) = arguments.iter().position(|a| a == SMALL) {
        arguments.remove(at);
        report::only_small();
    }
    if let [flag, group] = &arguments[..]
        && flag == "--group"
    {
        return run(group, &device);
    }
    let chosen = |name: &str| arguments.is_empty() || arguments.iter().any(|a| a == name);
    let own = std::env::current_exe().expect("own path");
    let mut failed = Vec::new();
    for (name, _) in GROUPS.iter().filter(|(name, _)| chosen(name)) {
        println!("== {name}");
        let mut command = Command::new(&own);
        let cache = tempfile::tempdir().expect("a temporary folder");
        if *name == compiled_ahead::NAME {
            command.env(compiled_ahead::CACHE, cache.path());
        }
        if report::small() {
            command.arg(SMALL);
        }
        let status = command
            .args(["--device", &device, "--group", name])
            .status();
        if !status.is_ok_and(|s| s.success()) {
            failed.push(*name);
        }
    }
    println!(
        "{}",
        if failed.is_empty() {
            "all groups passed".to_owned()
        } else {
            format!("FAILED: {}", failed.join(", "))
        }
    );
    ExitCode::from(u8::from(!failed.is_empty()))
}

fn run(group: &str, device: &str) -> ExitCode {
    let Some((_, work)) = GROUPS.iter().find(|(name, _)| *name == group) else {
        eprintln!("{group}: no such group");
        return ExitCode::FAILURE;
    };
    if !group.starts_with("speed") && !group.starts_with("kernels") {
        ultramotion::ops::poison_results();
    }
    let spec: DeviceSpec = device.parse().expect("a device");
    let engine = Engine::open(spec).and_then(|e| e.with_precision(Precision::F32));
    let outcome = engine
        .map_err(report::text)
        .and_then(|engine| work(&engine));
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(wrong) => {
            println!("  {wrong} comparisons failed");
            ExitCode::FAILURE
        }
        Err(message) => {
            println!("  ERROR {message}");
            ExitCode::FAILURE
        }
    }
}
