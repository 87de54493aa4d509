//! Which GPUs a build with CUDA compiles the kernels for.

#[path = "../../build/targets.rs"]
#[allow(dead_code)]
mod targets;

use targets::Targets;

/// What is built for with these values of the environment and these GPUs, and what nvcc is asked for.
fn asked(
    kernels: Option<&str>,
    least: Option<&str>,
    gpus: Option<&str>,
) -> Result<(String, Vec<String>), String> {
    let targets = Targets::of(kernels, least, || gpus.map(str::to_owned))?;
    Ok((targets.to_string(), targets.codes()))
}

const ALL: [&str; 3] = [
    "arch=compute_80,code=[sm_80,sm_86,sm_89]",
    "arch=compute_90a,code=sm_90a",
    "arch=compute_90,code=compute_90",
];

#[test]
fn the_gpus_of_the_machine_unless_told_otherwise() {
    let (name, codes) = asked(None, None, Some("8.9\n")).unwrap();
    assert_eq!(
        (name.as_str(), codes),
        ("8.9", vec!["arch=compute_89,code=[sm_89]".to_owned()])
    );
    let (name, codes) = asked(None, None, Some("9.0\n8.6\n9.0\n")).unwrap();
    assert_eq!(name, "8.6, 9.0");
    assert_eq!(
        codes,
        [
            "arch=compute_86,code=[sm_86]",
            "arch=compute_90a,code=sm_90a"
        ]
    );
    let (name, _) = asked(None, None, Some("7.5\n8.6\n")).unwrap();
    assert_eq!(name, "8.6");
    // What is later than 9.0 gets machine code too: its driver has nothing to compile.
    let (_, codes) = asked(None, None, Some("12.0")).unwrap();
    assert_eq!(codes, ["arch=compute_90,code=sm_120"]);
}

#[test]
fn all_where_there_is_no_gpu_or_the_least_is_the_oldest() {
    for (kernels, least, gpus) in [
        (None, None, None),
        (None, Some("80"), Some("9.0")),
        (Some("all"), Some("90"), Some("8.9")),
    ] {
        let (name, codes) = asked(kernels, least, gpus).unwrap();
        assert_eq!(name, "8.0, 8.6, 8.9, 9.0 and later");
        assert_eq!(codes, ALL);
    }
}

#[test]
fn from_the_least_capability_on() {
    let (name, codes) = asked(None, Some("90a"), Some("8.6")).unwrap();
    assert_eq!(
        (name.as_str(), &codes[..]),
        ("9.0 and later", &ALL.map(str::to_owned)[1..])
    );
    let (name, codes) = asked(None, Some("120"), None).unwrap();
    assert_eq!(name, "12.0 and later");
    assert_eq!(
        codes,
        [
            "arch=compute_90,code=sm_120",
            "arch=compute_90,code=compute_90"
        ]
    );
    // Between those that are known.
    let (name, _) = asked(None, Some("87"), None).unwrap();
    assert_eq!(name, "8.9, 9.0 and later");
}

#[test]
fn a_list_goes_before_all_else() {
    let (name, codes) = asked(Some(" 8.9, 8.6,8.9"), Some("90"), Some("9.0")).unwrap();
    assert_eq!(name, "8.6, 8.9");
    assert_eq!(codes, ["arch=compute_86,code=[sm_86,sm_89]"]);
    let (name, _) = asked(Some("native"), Some("80"), Some("8.0")).unwrap();
    assert_eq!(name, "8.0");
}

#[test]
fn what_cannot_be_is_named() {
    for (kernels, least, gpus, wanted) in [
        (
            Some("8.6,fast"),
            None,
            None,
            "ULTRAMOTION_KERNELS=8.6,fast: \"fast\" is no compute capability",
        ),
        (
            Some("7.5"),
            None,
            None,
            "ULTRAMOTION_KERNELS=7.5: compute capability 7.5 is below 8.0",
        ),
        (
            Some("native"),
            None,
            None,
            "ULTRAMOTION_KERNELS=native: nvidia-smi shows no GPU",
        ),
        (
            None,
            Some("ampere"),
            None,
            "CUDA_COMPUTE_CAP=ampere: \"ampere\" is no",
        ),
        (
            None,
            Some("75"),
            None,
            "CUDA_COMPUTE_CAP=75: compute capability 7.5 is below 8.0",
        ),
        (
            None,
            None,
            Some("7.0"),
            "the GPUs of this machine: compute capability 7.0 is below 8.0",
        ),
    ] {
        let error = asked(kernels, least, gpus).unwrap_err();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn files_for_other_gpus_have_other_names() {
    let ending = |kernels| Targets::of(Some(kernels), None, || None).unwrap().ending();
    let endings = ["all", "9.0", "8.6,9.0", "check"].map(ending);
    assert_eq!(
        endings,
        [
            "8.0-8.6-8.9-9.0-and-later.fatbin",
            "9.0.fatbin",
            "8.6-9.0.fatbin",
            "none.fatbin"
        ]
    );
}
