//! What `--help` shows at its end: two command lines that work, and more.

pub(crate) const PROGRAM: &str = "\
Examples:
  ultramotion pipeline clip.mp4 --output out
  ultramotion COMMAND --help

Exit codes: 0 done, 1 a check failed, 2 some inputs failed, 64 usage, 130 interrupted (run again with --resume).";

pub(crate) const EXTRACT: &str = "\
Examples:
  ultramotion extract clip.mp4 --frames ..100 --stride 10 --output frames
  ultramotion extract cine.dcm --window 40,400 --output frames";

pub(crate) const DETECT: &str = "\
Examples:
  ultramotion detect clip.mp4 --output boxes
  ultramotion detect 'frames/*.png' --detector dfine-s --confidence 0.4 --write coco,yolo --output boxes
  ultramotion detect rtsp://camera/stream --duration 60s --output boxes";

pub(crate) const SEGMENT: &str = "\
Examples:
  ultramotion segment frames/ --boxes boxes/detections.jsonl --output masks
  ultramotion segment scan.dcm --box 40,60,200,180 --point 120,90 --output masks";

pub(crate) const PIPELINE: &str = "\
Examples:
  ultramotion pipeline clip.mp4 --output out
  ultramotion pipeline study/ --detector my.pth --labels classes.txt --write coco,masks --output out";

pub(crate) const LIVE: &str = "\
Examples:
  ultramotion live rtsp://camera/stream --track --monitor 127.0.0.1:8080
  ultramotion live igtl://plus:18944 --igtl-serve 18945 --record out
  ultramotion live /dev/video0 --video-size 1280x720 --rate 30 --detector dfine-s --no-segmenter --json
  ultramotion live clip.mp4 --realtime --repeat --duration 60s

Exit codes: 0 the stream or its time ended, 2 frames or outputs failed, or there was no stream, 64 usage, 130 interrupted.";

pub(crate) const SERVE: &str = "\
Examples:
  ultramotion serve
  ultramotion serve --listen 127.0.0.1:8000 --detector my.pth --segmenter mobile-sam --confidence 0.4
  ultramotion serve --listen 0.0.0.0:8000 --api-key-file key.txt --device cuda

Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 models or address cannot be had, 64 usage.";

pub(crate) const MERGE: &str = "\
Examples:
  ultramotion merge out
  ultramotion merge out --missing

Exit codes of --missing: 0 all shards are complete, 1 some are not, 2 there are no shards.";

pub(crate) const PHANTOM: &str = "\
Examples:
  ultramotion phantom --seed 5 --write png,mp4,dicom --output phantom
  ultramotion phantom --seed 1000 --sequences 200 --write png --output train
  ultramotion phantom --seed 1 --sequences 20 --motion hard --write mp4,mot --output tracks";

pub(crate) const EXPORT: &str = "\
Examples:
  ultramotion export --run out --to yolo --images copy --output dataset
  ultramotion export --run out --to coco,csv --masks polygon --split 0.8,0.1,0.1 --output dataset";

pub(crate) const CONVERT: &str = "\
Examples:
  ultramotion convert corrected.json --image-root out/images --to yolo --output dataset
  ultramotion convert dataset/ --from yolo --to coco --output coco";

pub(crate) const EVAL: &str = "\
Examples:
  ultramotion eval --ground-truth test/annotations.json --predictions out/coco.json
  ultramotion eval --ground-truth phantom/coco.json --predictions out/coco.json --boxes-only --min-ap 0.8
  ultramotion eval --tracks --ground-truth phantom/coco.json --predictions out --min-hota 0.7 --min-idf1 0.8";

pub(crate) const MODELS: &str = "\
Examples:
  ultramotion models list
  ultramotion models inspect my.pth";

pub(crate) const MODELS_LIST: &str = "\
Examples:
  ultramotion models list
  ultramotion models list --json";

pub(crate) const MODELS_PULL: &str = "\
Examples:
  ultramotion models pull dfine-s
  ultramotion models pull ustc-community/dfine-small-coco";

pub(crate) const MODELS_INSPECT: &str = "\
Examples:
  ultramotion models inspect my.pth
  ultramotion models inspect dfine-n-phantom --tensors";

pub(crate) const MODELS_VERIFY: &str = "\
Examples:
  ultramotion models verify --detector my.pth --reference reference.safetensors
  ultramotion models verify --segmenter mobile_sam.pt --reference reference.safetensors --tolerance 1e-3
  ultramotion models verify --segmenter mobile_sam.pt --against candle";

pub(crate) const MODELS_INIT: &str = "\
Examples:
  ultramotion models init dfine-n --classes bone,cyst --output new
  ultramotion models init mobile-sam --output new";

pub(crate) const BENCH: &str = "\
Examples:
  ultramotion bench
  ultramotion bench clip.mp4 --detector dfine-s --segmenter mobile-sam --stage pipeline
  ultramotion bench --segmenter mobile_sam.pt --against candle";

pub(crate) const AUDIT: &str = "\
Examples:
  ultramotion audit clip.mp4 --report audit.html
  ultramotion audit clip.mp4 --device cuda:1 --compare --frames 100";

pub(crate) const DOCTOR: &str = "\
Examples:
  ultramotion doctor
  ultramotion doctor --device cuda --json";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  ultramotion completions bash > ~/.local/share/bash-completion/completions/ultramotion
  ultramotion completions zsh > _ultramotion";

pub(crate) const MAN: &str = "\
Examples:
  ultramotion man | man -l -
  ultramotion man --output man/man1";

#[cfg(test)]
mod tests {
    use crate::args::Cli;
    use clap::{Command, CommandFactory, Parser};

    /// The words of a command line without what a shell does after a pipe or with a redirection.
    fn words(line: &str) -> Vec<String> {
        let line = line.split(['|', '>']).next().unwrap_or_default();
        line.split_whitespace()
            .map(|word| word.trim_matches('\'').to_owned())
            .collect()
    }

    fn check(command: &Command, path: &str) {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let examples: Vec<&str> = help
            .lines()
            .filter(|line| line.starts_with("  ultramotion"))
            .collect();
        assert!(examples.len() >= 2, "{path}: {help}");
        for example in examples.iter().filter(|line| !line.contains("COMMAND")) {
            assert!(
                example.trim_start().starts_with(path) || path == "ultramotion",
                "{path}: {example}"
            );
            let parsed = Cli::try_parse_from(words(example));
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            check(sub, &format!("{path} {}", sub.get_name()));
        }
    }

    #[test]
    fn every_command_has_two_examples_that_parse() {
        check(&Cli::command(), "ultramotion");
    }
}
