//! A whole audit.

use super::{
    AuditError,
    plan::{AuditPlan, Pass},
    report::AuditReport,
    verdict::{kpis, verdict},
};
use crate::{run::RunObserver, session::Session};
use std::sync::Arc;

/// Name of the device of a session without a GPU.
const CPU: &str = "cpu";

/// Audits real runs, whose outputs go to a temporary folder: first without a profiler, then under CUPTI. `load` builds the
/// session of each pass anew, in the mode of the pass, with an observer of its frames. On the CPU there is nothing to capture and
/// no second pass.
///
/// # Errors
/// Those of `load`, and [`AuditError`] if the pipeline could not run or did no frame after the warm-up. That CUPTI cannot be used
/// is no error: the report says so.
pub fn run<E: From<AuditError>>(
    plan: &AuditPlan,
    mut load: impl FnMut(Pass) -> Result<(Session, Arc<RunObserver>), E>,
) -> Result<AuditReport, E> {
    // The audited mode first, since the device keeps memory for the program; all times before the first profiler.
    let (mut audited, device) = plan.measure(plan.mode, &mut load)?;
    let mut compared = plan
        .compare
        .map(|mode| plan.measure(mode, &mut load))
        .transpose()?
        .map(|(report, _)| report);
    let mut not_observed = Vec::new();
    if device == CPU {
        not_observed.push("copies, waits and allocations: the pipeline ran on the CPU, where no driver moves data".to_owned());
        not_observed.push("device memory and its drift: there is no device".to_owned());
    } else {
        not_observed.extend(plan.profile(&mut load, &mut audited)?);
        if let Some(compared) = &mut compared {
            let gaps = plan.profile(&mut load, compared)?;
            not_observed.extend(
                gaps.into_iter()
                    .map(|gap| format!("mode {}: {gap}", compared.mode.name())),
            );
        }
    }
    let kpis = kpis(&audited.measured, &plan.bounds, plan.duration.is_some());
    Ok(AuditReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        date: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        device,
        warm_up: plan.warm_up,
        compared,
        bounds: plan.bounds,
        verdict: verdict(&kpis, not_observed.is_empty()),
        kpis,
        audited,
        not_observed,
    })
}
