//! `doctor`.

use crate::{args::DoctorArgs, exit::Exit, hints, inputs::usage, terminal::Terminal};
use ultramotion::tools::examine;

/// Prints what was found; exit code 1 if something is not as it should be.
pub(crate) fn run(args: &DoctorArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut findings = examine(args.device.parse().map_err(|e| usage("--device", e))?);
    for finding in &mut findings {
        if let (Some(remedy), Some(hint)) = (&mut finding.remedy, hints::of_finding(finding.kind)) {
            *remedy = format!("{remedy} ({hint})");
        }
    }
    for finding in &findings {
        if terminal.json {
            terminal.print_json(finding)?;
            continue;
        }
        let mark = if finding.ok { "ok" } else { "!!" };
        terminal.print(&format!("{mark}  {}: {}", finding.subject, finding.found))?;
        if let Some(remedy) = &finding.remedy {
            terminal.print(&format!("    remedy: {remedy}"))?;
        }
    }
    Ok(if findings.iter().all(|finding| finding.ok) {
        Exit::Done
    } else {
        Exit::CheckFailed
    })
}
