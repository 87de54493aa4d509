//! Rules of the CUDA kernels that no compiler checks.

use std::{fs, path::Path};

/// The bodies of the kernels in a source, from their first brace on.
fn bodies(source: &str) -> Vec<&str> {
    let kernels = source
        .match_indices("__global__")
        .map(|(at, _)| &source[at..]);
    kernels.map(|kernel| &kernel[body(kernel)..]).collect()
}

/// Where the body of a kernel begins, behind its bounds and its parameters.
fn body(kernel: &str) -> usize {
    let mut depth = 0;
    kernel
        .find(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            c == '{' && depth == 0
        })
        .map_or(kernel.len(), |brace| brace + 1)
}

fn waits(body: &str) -> bool {
    body.starts_with("begin();") || body.starts_with("wait_for_kernels();")
}

/// Whether the first call is of a function of the same source that waits, after it has asked for weights.
fn waits_within(source: &str, body: &str) -> bool {
    let name = body.split(['<', '(', ';']).next().unwrap_or("");
    let Some((_, rest)) = source.split_once(&format!(" void {name}(")) else {
        return false;
    };
    let function = rest.split("\n}\n").next().unwrap_or(rest);
    let inner = function.split_once("{\n").map(|(_, inner)| inner.trim());
    // Or of one that this one calls first.
    function.contains("\n  begin();\n") || inner.is_some_and(|inner| waits_within(source, inner))
}

/// Kernels are launched while the one before them runs, and wait for it themselves.
#[test]
fn every_kernel_first_waits_for_the_one_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops/cuda");
    let (mut kernels, mut missing) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "cu") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        for body in bodies(&source) {
            kernels += 1;
            let first = body.trim_start_matches([' ', '\n', '\\']);
            if !waits(first) && !waits_within(&source, first) {
                missing.push(format!(
                    "{}: {}",
                    path.display(),
                    first.lines().next().unwrap()
                ));
            }
        }
    }
    assert!(kernels > 50, "{kernels}");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn bodies_lie_behind_bounds_and_parameters() {
    let source = "__global__ void __launch_bounds__((A / B) * 32) f(const P p) { begin(); }\n__global__ void g(int n) {\n  n++;\n}";
    let first: Vec<&str> = bodies(source).iter().map(|body| &body[..8]).collect();
    assert_eq!(first, [" begin()", "\n  n++;\n"]);
}
