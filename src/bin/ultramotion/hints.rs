//! Options that help against an error of the library, whose messages know none: found by the error's kind.

use std::error::Error;
use ultramotion::{
    audit::AuditError,
    engine::{EngineError, OutOfMemory},
    eval::{EvalError, EvalErrorKind},
    models::dfine::{ConfigError, ConfigFile, DFineError, postprocess::SelectError},
    run::{FrameError, KpiError, RunError},
    session::{ModelError, SessionError},
    sinks::{SinkError, SinkErrorKind},
    sources::{IssueKind, SourceError},
    tools::{FindingKind, PhantomRunError, VerifyError, VerifyFileError},
    weights::{HubError, Role, WeightsError},
};

/// The first hint for `error` or one of its causes.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(of)
}

/// The hint for `error` itself; kinds that show an inner error as their own text are looked into.
fn of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    None.or_else(|| error.downcast_ref().and_then(of_engine))
        .or_else(|| error.downcast_ref::<OutOfMemory>().map(|_| MEMORY))
        .or_else(|| error.downcast_ref().and_then(of_model))
        .or_else(|| error.downcast_ref().and_then(of_weights))
        .or_else(|| error.downcast_ref().and_then(of_hub))
        .or_else(|| match error.downcast_ref::<FrameError>()? {
            FrameError::Model(error) => of_model(error),
            _ => None,
        })
        .or_else(|| match error.downcast_ref::<SessionError>()? {
            SessionError::Model(error) => of_model(error),
            SessionError::Source(error) => of_issue(error.kind),
            _ => None,
        })
        .or_else(|| match error.downcast_ref::<RunError>()? {
            RunError::Source(error) => of_issue(error.kind),
            RunError::Prepare { source, .. } => of_model(source),
            RunError::Frame { source, .. } => of(&**source),
            RunError::Sink(error) | RunError::Boxes(error) => of_sink(error),
            RunError::OtherInputs { .. } => Some("--overwrite"),
            _ => None,
        })
        .or_else(|| error.downcast_ref().and_then(of_sink))
        .or_else(|| error.downcast_ref().and_then(of_eval))
        .or_else(|| error.downcast_ref::<KpiError>().map(|_| "--kpi"))
        .or_else(|| match error.downcast_ref::<PhantomRunError>()? {
            PhantomRunError::Sink(error) => of_sink(error),
            _ => None,
        })
        .or_else(|| of_issue(error.downcast_ref::<SourceError>()?.kind))
        .or_else(|| match error.downcast_ref::<AuditError>()? {
            AuditError::Run(error) => of(&**error),
            _ => None,
        })
        .or_else(|| match error.downcast_ref::<VerifyFileError>()? {
            VerifyFileError::Read(error) => of_model(error),
            VerifyFileError::Compare(VerifyError::Engine(error)) => of_engine(error),
            VerifyFileError::Compare(VerifyError::Missing { .. }) => {
                Some("`ultramotion models verify --help` names the tensors")
            }
            _ => None,
        })
}

const MEMORY: &str = "--batch, --max-objects, --allow-cpu-fallback";

fn of_engine(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::NoCudaBuild(_) => {
            Some("--device cpu, or `cargo build --release --features cuda`")
        }
        EngineError::NoDevice { .. } => Some("`ultramotion doctor`, --device cpu"),
        EngineError::Unsupported { .. } | EngineError::NoBf16 => Some("--dtype f32, --device cuda"),
        EngineError::NotOnGpu => Some("--device cuda, --mode legacy"),
        EngineError::NoMemory { .. } => Some(MEMORY),
        _ => None,
    }
}

fn of_model(error: &ModelError) -> Option<&'static str> {
    match error {
        ModelError::Engine(error) => of_engine(error),
        ModelError::OutOfMemory(_) => Some(MEMORY),
        ModelError::NotFinite(_) | ModelError::Select(SelectError::NotFinite { .. }) => {
            Some("--dtype f32")
        }
        ModelError::DFine(DFineError::Labels(_)) => Some("--labels FILE"),
        ModelError::DFine(DFineError::Config(ConfigError {
            file: ConfigFile::User,
            ..
        })) => Some("--input-size"),
        ModelError::Weights(error) => of_weights(error),
        _ => None,
    }
}

fn of_weights(error: &WeightsError) -> Option<&'static str> {
    match error {
        WeightsError::UnknownModel { .. } => Some("`ultramotion models list` shows all names"),
        WeightsError::OtherRole { role, .. } | WeightsError::NoDefault { role, .. } => {
            Some(match role {
                Role::Detector => "--detector",
                Role::Segmenter => "--segmenter",
            })
        }
        WeightsError::NoTensor { .. } => Some("`ultramotion models inspect` lists the tensors"),
        WeightsError::Hub(error) => of_hub(error),
        _ => None,
    }
}

fn of_hub(error: &HubError) -> Option<&'static str> {
    match error {
        HubError::Checksum { .. } => Some("`ultramotion models pull`"),
        _ => None,
    }
}

/// The option against what `doctor` found wrong.
pub(crate) fn of_finding(kind: FindingKind) -> Option<&'static str> {
    match kind {
        FindingKind::GpuBuild => Some("`cargo build --release --features cuda`"),
        FindingKind::Device | FindingKind::Speed => Some("--device cpu"),
        FindingKind::OutputFolder => Some("--output"),
        _ => None,
    }
}

fn of_sink(error: &SinkError) -> Option<&'static str> {
    use SinkErrorKind as K;
    match error.kind {
        K::NotEmpty { resumable: true } => Some("--resume, --overwrite"),
        K::NotEmpty { resumable: false } | K::OtherRun | K::BrokenJournal => Some("--overwrite"),
        K::BrokenLine => Some("--overwrite, --resume"),
        K::DiskFull => Some("--resume"),
        K::NotFinite => Some("--device cpu, --dtype f32"),
        K::TooManyObjects => Some("--max-objects, --confidence"),
        K::NoEncoder => Some("--write"),
        K::OtherImages | K::ImagesNotNeeded => Some("--images-of"),
        _ => None,
    }
}

fn of_eval(error: &EvalError) -> Option<&'static str> {
    use EvalErrorKind as K;
    match error.kind {
        K::NotInBoth => Some("--common"),
        K::TooManyPairs => Some("--confidence"),
        K::ImagesNotNeeded => Some("--images-of"),
        K::MasksMissing => Some("--boxes-only"),
        K::OtherRules => Some("--rules"),
        _ => None,
    }
}

fn of_issue(kind: IssueKind) -> Option<&'static str> {
    match kind {
        IssueKind::PixelLimit => Some("--max-pixels"),
        IssueKind::Window => Some("--window CENTER,WIDTH"),
        IssueKind::StoredValues => Some("--stored-values"),
        IssueKind::OutputFolder => Some("--output"),
        IssueKind::StandardInput => Some("--input -"),
        IssueKind::GpuDecoding => Some("--decode auto, --decode cpu"),
        _ => None,
    }
}

/// The text of an error or a warning about an input, with the options that help against one of this kind.
pub(crate) fn with_hint(text: &str, kind: IssueKind) -> String {
    match of_issue(kind) {
        Some(hint) => format!("{text} ({hint})"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ultramotion::{models::dfine::LabelsError, weights::ModelRef};

    #[test]
    fn hints_are_found_behind_kinds_that_show_an_inner_error() {
        let engine = || EngineError::NoCudaBuild("cuda:1".to_owned());
        let of = |error: anyhow::Error| hint(&error);
        let expected = Some("--device cpu, or `cargo build --release --features cuda`");
        assert_eq!(of(engine().into()), expected);
        assert_eq!(of(ModelError::from(engine()).into()), expected);
        let frame = RunError::Frame {
            frame: "a.png, frame 0".to_owned(),
            source: Box::new(ModelError::NotFinite("an output").into()),
        };
        assert_eq!(of(frame.into()), Some("--dtype f32"));
        let memory = OutOfMemory {
            device: "cuda:0".to_owned(),
            needed: None,
            used: 0,
            free: 0,
        };
        let prepare = RunError::Prepare {
            device: "cuda:0".to_owned(),
            source: Box::new(ModelError::OutOfMemory(Box::new(memory))),
        };
        assert_eq!(
            of(anyhow::Error::from(prepare).context("a run")),
            Some(MEMORY)
        );
        let folder = SinkError::new("out", "the output folder is not empty")
            .with_kind(SinkErrorKind::NotEmpty { resumable: false });
        assert_eq!(of(folder.clone().into()), Some("--overwrite"));
        assert_eq!(
            of(RunError::Sink(folder.clone()).into()),
            Some("--overwrite")
        );
        assert_eq!(
            of(PhantomRunError::Sink(folder).into()),
            Some("--overwrite")
        );
        assert_eq!(of(anyhow::anyhow!("anything else")), None);
        let labels = DFineError::Labels(LabelsError::Missing {
            origin: "x.pth".to_owned(),
            classes: 3,
        });
        assert_eq!(of(ModelError::from(labels).into()), Some("--labels FILE"));
        let other_role = || ModelRef::parse("mobile-sam", Some(Role::Detector)).unwrap_err();
        assert_eq!(of(other_role().into()), Some("--segmenter"));
        let model = ModelError::from(other_role());
        assert_eq!(of(SessionError::from(model).into()), Some("--segmenter"));
        let input = SourceError::new("a.png", "is large").with_kind(IssueKind::PixelLimit);
        assert_eq!(of(input.clone().into()), Some("--max-pixels"));
        assert_eq!(of(RunError::Source(input).into()), Some("--max-pixels"));
    }

    #[test]
    fn an_issue_of_an_input_is_shown_with_the_options_of_its_kind() {
        assert_eq!(
            with_hint("a.png: is large", IssueKind::PixelLimit),
            "a.png: is large (--max-pixels)"
        );
        assert_eq!(
            with_hint("a.png: is bad", IssueKind::Other),
            "a.png: is bad"
        );
    }
}
