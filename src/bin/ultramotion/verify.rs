//! `models verify`: a model against reference outputs, or against another implementation.

use crate::{
    exit::Exit,
    inputs::{self, usage},
    terminal::{Downloads, Terminal},
    verify_args::VerifyArgs,
};
use serde_json::json;
use std::path::Path;
use ultramotion::{
    engine::Engine,
    session,
    tools::{AgainstCandle, TensorComparison},
};

/// Largest relative error that passes against a reference.
const TOLERANCE: f64 = 1e-4;

/// Runs the subcommand.
pub(crate) fn run(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if let Some(tolerance) = args.tolerance
        && !(tolerance > 0.0 && tolerance.is_finite())
    {
        return Err(usage(
            "--tolerance",
            format!("{tolerance}: give a number above 0"),
        ));
    }
    match (&args.reference, &args.against) {
        (Some(reference), _) => against_reference(args, reference, terminal),
        (None, Some(implementation)) => {
            check_implementation(implementation)?;
            against_candle(args, terminal)
        }
        (None, None) => Err(usage("verify", "name a --reference, or --against candle")),
    }
}

/// That `--against` names an implementation there is.
pub(crate) fn check_implementation(name: &str) -> anyhow::Result<()> {
    if name == "candle" {
        return Ok(());
    }
    Err(usage(
        "--against",
        format!("{name}: not an implementation to compare with; use candle"),
    ))
}

/// What is wrong with a detector where candle-transformers is compared with.
pub(crate) fn no_detector(name: &str) -> String {
    format!(
        "{name}: candle-transformers has no D-FINE to compare with; give a --segmenter, or verify the detector with --reference"
    )
}

/// The segmenter `name` in both implementations.
pub(crate) fn load_both(
    engine: &Engine,
    name: Option<&str>,
    terminal: &Terminal,
) -> anyhow::Result<AgainstCandle> {
    let mut downloads = Downloads::new(terminal);
    Ok(AgainstCandle::load(
        engine,
        name,
        &inputs::hub()?,
        &mut downloads,
    )?)
}

/// The known faults of candle-transformers.
pub(crate) fn print_faults(terminal: &Terminal) -> anyhow::Result<()> {
    terminal.print("known of candle-transformers' MobileSAM:")?;
    for fault in AgainstCandle::KNOWN_FAULTS {
        terminal.print(&format!("  {fault}"))?;
    }
    Ok(())
}

fn against_reference(
    args: &VerifyArgs,
    reference: &Path,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let tolerance = args.tolerance.unwrap_or(TOLERANCE);
    let engine = inputs::engine(&args.device)?;
    let (hub, mut downloads) = (inputs::hub()?, Downloads::new(terminal));
    let compared = match (&args.detector, &args.segmenter) {
        (Some(name), _) => session::load_detector_unnamed(&engine, name, &hub, &mut downloads)?
            .verify(reference)?,
        (_, Some(name)) => {
            session::load_segmenter(&engine, Some(name), &hub, &mut downloads)?.verify(reference)?
        }
        _ => return Err(usage("verify", "name a --detector or a --segmenter")),
    };
    let exit = judged(&compared, tolerance);
    if terminal.json {
        let passed = exit == Exit::Done;
        terminal.print_json(
            &json!({ "tolerance": tolerance, "passed": passed, "tensors": compared }),
        )?;
    } else {
        print(&compared, tolerance, terminal)?;
    }
    Ok(exit)
}

fn against_candle(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    if let Some(detector) = &args.detector {
        return Err(usage("--detector", no_detector(detector)));
    }
    let tolerance = args.tolerance.unwrap_or(AgainstCandle::TOLERANCE);
    let engine = inputs::engine(&args.device)?;
    let found = load_both(&engine, args.segmenter.as_deref(), terminal)?.verify()?;
    let exit = judged(&found.tensors, tolerance);
    if terminal.json {
        terminal.print_json(&json!({
            "against": "candle",
            "tolerance": tolerance,
            "passed": exit == Exit::Done,
            "tensors": found.tensors,
            "mask_iou": found.mask_iou,
            "known_faults": AgainstCandle::KNOWN_FAULTS,
        }))?;
        return Ok(exit);
    }
    print(&found.tensors, tolerance, terminal)?;
    terminal.print(&format!("masks: IoU {:.5}", found.mask_iou))?;
    print_faults(terminal)?;
    Ok(exit)
}

fn judged(compared: &[TensorComparison], tolerance: f64) -> Exit {
    if compared.iter().all(|tensor| tensor.is_within(tolerance)) {
        Exit::Done
    } else {
        Exit::CheckFailed
    }
}

fn print(compared: &[TensorComparison], tolerance: f64, terminal: &Terminal) -> anyhow::Result<()> {
    for tensor in compared {
        let verdict = if tensor.is_within(tolerance) {
            "within"
        } else {
            "PAST"
        };
        terminal.print(&format!(
            "{}: max-abs {:.3e}, relative {:.3e}, {verdict} {tolerance:e}",
            tensor.name, tensor.max_abs, tensor.relative
        ))?;
    }
    Ok(())
}
