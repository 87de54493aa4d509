//! The hub as a small server on the loopback address plays it: headers, redirects to another host name, ranges, refusals.

use crate::common::hub_server::{self, Answer, File, HubServer};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ultramotion::weights::{
    DownloadProgress, Hub, HubConfig, HubError, HubRepo, ModelOrigin, ModelRef, WeightsError,
    catalogue,
};

const COMMIT: &str = "066438d3d8f0da137a37b38fdf3368fd4afceced";
const OTHER: &str = "1111111111111111111111111111111111111111";

struct Setup {
    server: HubServer,
    cache: tempfile::TempDir,
    config: HubConfig,
}

fn weights() -> Vec<u8> {
    (0..200_000u32).flat_map(u32::to_le_bytes).collect()
}

/// A repository `org/model` at [`COMMIT`] with configuration and weights.
fn setup() -> Setup {
    let server = HubServer::start(COMMIT);
    server.put("config.json", File::plain(br#"{"model_type": "d_fine"}"#));
    server.put("model.safetensors", File::large(&weights()));
    let cache = tempfile::tempdir().unwrap();
    let config = HubConfig {
        endpoint: server.url(),
        stall_timeout: Duration::from_secs(5),
        ..HubConfig::new(cache.path().join("hub"))
    };
    Setup {
        server,
        cache,
        config,
    }
}

impl Setup {
    fn hub(&self) -> Hub {
        Hub::new(self.config.clone())
    }

    fn repo_dir(&self) -> PathBuf {
        self.cache.path().join("hub/models--org--model")
    }

    fn snapshot(&self, file: &str) -> PathBuf {
        self.repo_dir().join("snapshots").join(COMMIT).join(file)
    }

    fn resolve(&self, text: &str) -> Result<ultramotion::weights::ModelFiles, WeightsError> {
        ModelRef::parse(text, None)
            .unwrap()
            .resolve(&self.hub(), &mut ())
    }

    fn error(&self, text: &str) -> String {
        self.resolve(text).unwrap_err().to_string()
    }

    /// Files that a later call would take for whole ones.
    fn finished(&self) -> Vec<PathBuf> {
        let list = |dir: &str| {
            std::fs::read_dir(self.repo_dir().join(dir))
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path())
        };
        let blobs = list("blobs").filter(|p| p.extension().is_none());
        let snapshots = list(&format!("snapshots/{COMMIT}"));
        blobs
            .chain(snapshots)
            .filter(|p| !p.ends_with("config.json") && p.metadata().is_ok_and(|m| m.len() > 100))
            .collect()
    }
}

#[derive(Default)]
struct Counter {
    starts: Vec<(String, u64)>,
    bytes: u64,
    finished: u32,
}

impl DownloadProgress for Counter {
    fn start(&mut self, file: &str, bytes: u64) {
        self.starts.push((file.to_owned(), bytes));
    }
    fn advance(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
    fn finish(&mut self) {
        self.finished += 1;
    }
}

#[test]
fn a_download_lands_in_the_cache_layout_and_the_second_call_asks_nothing() {
    let setup = setup();
    let mut progress = Counter::default();
    let model = ModelRef::parse("org/model", None).unwrap();
    let files = model.resolve(&setup.hub(), &mut progress).unwrap();
    assert_eq!(files.weights.path, setup.snapshot("model.safetensors"));
    assert_eq!(std::fs::read(&files.weights.path).unwrap(), weights());
    assert_eq!(files.weights.sha256, hub_server::sha256(&weights()));
    assert_eq!(
        files.config.as_ref().unwrap().path,
        setup.snapshot("config.json")
    );
    let origin = ModelOrigin::Hub {
        repo: "org/model".into(),
        revision: "main".into(),
        commit: COMMIT.into(),
    };
    assert_eq!(files.origin, origin);
    // Blob named by its SHA-256, a relative link to it, and the branch's commit, as huggingface_hub has them.
    let link = std::fs::read_link(&files.weights.path).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(&files.weights.sha256));
    assert_eq!(
        std::fs::read_to_string(setup.repo_dir().join("refs/main")).unwrap(),
        COMMIT
    );
    assert_eq!(
        progress.starts.last().unwrap(),
        &("model.safetensors".to_owned(), 800_000)
    );
    assert_eq!((progress.bytes, progress.finished), (800_000 + 24, 2));

    let asked = setup.server.requests().len();
    assert_eq!(model.resolve(&setup.hub(), &mut ()).unwrap(), files);
    assert_eq!(setup.server.requests().len(), asked);
    let Setup {
        server,
        config,
        cache,
    } = setup;
    drop(server);
    assert_eq!(model.resolve(&Hub::new(config), &mut ()).unwrap(), files);
    drop(cache);
}

#[test]
fn a_pinned_revision_is_what_is_asked_for_and_what_must_come() {
    let setup = setup();
    let files = setup.resolve(&format!("org/model@{COMMIT}")).unwrap();
    assert!(
        files
            .weights
            .path
            .ends_with(format!("snapshots/{COMMIT}/model.safetensors"))
    );
    let resolves = |r: &&String| r.contains("/resolve/");
    assert!(
        setup
            .server
            .requests()
            .iter()
            .filter(resolves)
            .all(|r| r.contains(&format!("/resolve/{COMMIT}/")))
    );
    setup.server.commit(OTHER);
    let error = setup.error(&format!("org/model@{}", COMMIT.replace('0', "a")));
    assert!(
        error.contains(&format!("answered with commit {OTHER}")),
        "{error}"
    );
    // A model with a name has no list of files asked for: its commit is checked with each file.
    setup.server.repo("ustc-community/dfine-nano-coco");
    setup
        .server
        .put("preprocessor_config.json", File::plain(b"{}"));
    assert!(
        setup
            .error("dfine-n")
            .contains(&format!("answered with commit {OTHER}"))
    );
}

#[test]
fn a_branch_stays_where_it_was_until_it_is_pulled() {
    let setup = setup();
    let old = setup.resolve("org/model").unwrap();
    setup.server.commit(OTHER);
    setup
        .server
        .put("model.safetensors", File::large(b"new weights"));
    assert_eq!(setup.resolve("org/model").unwrap(), old);
    let new = ModelRef::parse("org/model", None)
        .unwrap()
        .pull(&setup.hub(), &mut ())
        .unwrap();
    assert_eq!(std::fs::read(&new.weights.path).unwrap(), b"new weights");
    assert!(
        new.weights
            .path
            .ends_with(format!("snapshots/{OTHER}/model.safetensors"))
    );
    assert_eq!(setup.resolve("org/model").unwrap(), new);
}

#[test]
fn offline_the_cache_is_used_and_what_it_lacks_is_named() {
    let mut setup = setup();
    setup.config.offline = true;
    let error = setup.error(&format!("org/model@{COMMIT}"));
    assert!(setup.server.requests().is_empty());
    assert!(
        error.contains(&format!(
            "{}/org/model/resolve/{COMMIT}/model.safetensors",
            setup.server.url()
        )),
        "{error}"
    );
    assert!(
        error.contains("HF_HUB_OFFLINE")
            && error.contains(&format!(
                "put them into\n    {}\n",
                setup.repo_dir().join("snapshots").join(COMMIT).display()
            )),
        "{error}"
    );
    // Put there by hand as the message says, it is found.
    std::fs::create_dir_all(setup.snapshot("")).unwrap();
    std::fs::write(setup.snapshot("model.safetensors"), "by hand").unwrap();
    assert_eq!(
        setup
            .resolve(&format!("org/model@{COMMIT}"))
            .unwrap()
            .weights
            .bytes,
        7
    );

    let error = setup.error("dfine-n");
    for part in [
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
        "dfine-nano-coco/resolve/066438d",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_token_goes_to_the_hub_and_nowhere_else() {
    let mut setup = setup();
    setup.server.require_token("hf_secret");
    let error = setup.error("org/model");
    assert!(
        error.contains("401") && error.contains("set HF_TOKEN"),
        "{error}"
    );
    setup.config.token = Some("hf_wrong".to_owned());
    let error = setup.error("org/model");
    assert!(
        error.contains("401") && error.contains("the token") && !error.contains("hf_wrong"),
        "{error}"
    );
    setup.config.token = Some("hf_secret".to_owned());
    setup.resolve("org/model").unwrap();
    // The server that the hub redirects to must not see it.
    let (stored, hub): (Vec<_>, Vec<_>) = setup
        .server
        .requests()
        .into_iter()
        .partition(|r| r.contains(" /cdn/"));
    assert!(
        !stored.is_empty() && stored.iter().all(|r| !r.contains("hf_secret")),
        "{stored:?}"
    );
    assert!(
        hub.last()
            .unwrap()
            .contains("authorization: bearer hf_secret")
    );
}

#[test]
fn refusals_and_absences_say_what_to_do() {
    for (answer, expected) in [
        (Answer::Status(404), "not found"),
        (Answer::Status(403), "gated or private"),
        (Answer::Status(429), "too many requests"),
        (Answer::Status(503), "answered 503; try again later"),
        (Answer::NoEtag, "ETag is missing"),
        (Answer::NoCommit, "X-Repo-Commit is missing"),
        (
            Answer::Etag("../../../evil".to_owned()),
            "named the file \"../../../evil\"",
        ),
        (Answer::RedirectNowhere, "redirects to nowhere"),
    ] {
        let setup = setup();
        setup.server.answer("model.safetensors", answer.clone());
        let error = setup.error("org/model");
        assert!(
            error.contains(expected) && error.contains(&setup.server.url()),
            "{answer:?}: {error}"
        );
        assert!(setup.finished().is_empty(), "{answer:?}");
        assert!(!setup.cache.path().join("evil").exists());
    }
    let setup = setup();
    setup.server.remove("model.safetensors");
    assert!(setup.error("org/model").contains("has no checkpoint"));
    setup.server.put("a.pt", File::plain(b"1"));
    setup.server.put("b.pt", File::plain(b"2"));
    assert!(
        setup
            .error("org/model")
            .contains("several checkpoints: a.pt, b.pt")
    );
    assert!(setup.error("org/other").contains("not found"));
}

#[test]
fn a_hub_that_is_not_there_is_reported_with_the_way_round() {
    let mut setup = setup();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    setup.config.endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = setup.error(&format!("org/model@{COMMIT}"));
    assert!(
        error.contains("cannot be reached")
            && error.contains("put all files of the model into a folder"),
        "{error}"
    );
    let error = setup.error("dfine-n");
    assert!(error.contains("model.safetensors"), "{error}");
}

#[test]
fn a_download_that_breaks_off_leaves_nothing_whole_and_is_resumed() {
    let setup = setup();
    setup.server.answer(
        "model.safetensors",
        Answer::Truncate {
            after: 300_000,
            times: 100,
        },
    );
    let error = setup.resolve("org/model").unwrap_err();
    assert!(
        matches!(&error, WeightsError::Hub(e) if matches!(**e, HubError::Interrupted { .. })),
        "{error}"
    );
    assert!(setup.finished().is_empty());
    assert!(
        error
            .to_string()
            .contains("the download resumes where it ended"),
        "{error}"
    );

    setup.server.answer("model.safetensors", Answer::Normal);
    let before = setup.server.requests().len();
    let mut progress = Counter::default();
    let files = ModelRef::parse("org/model", None)
        .unwrap()
        .resolve(&setup.hub(), &mut progress)
        .unwrap();
    assert_eq!(std::fs::read(files.weights.path).unwrap(), weights());
    assert_eq!(progress.bytes, 800_000);
    let resumed = setup.server.requests().split_off(before);
    assert!(
        resumed
            .iter()
            .any(|r| r.contains("range: bytes=") && !r.contains("bytes=0-")),
        "{resumed:?}"
    );
}

#[test]
fn one_interruption_is_overcome_within_the_call() {
    let setup = setup();
    setup.server.answer(
        "model.safetensors",
        Answer::Truncate {
            after: 300_000,
            times: 1,
        },
    );
    assert_eq!(
        std::fs::read(setup.resolve("org/model").unwrap().weights.path).unwrap(),
        weights()
    );
}

#[test]
fn bytes_that_are_not_the_named_ones_are_refused() {
    let setup = setup();
    setup.server.answer("model.safetensors", Answer::Corrupt);
    let error = setup.resolve("org/model").unwrap_err();
    assert!(
        matches!(&error, WeightsError::Hub(e) if matches!(**e, HubError::Checksum { .. })),
        "{error}"
    );
    assert!(setup.finished().is_empty());
    // A part left by an earlier version of the file, and a server that sends all from the start, end well.
    setup
        .server
        .answer("model.safetensors", Answer::IgnoreRange);
    let blobs = setup.repo_dir().join("blobs");
    std::fs::write(
        blobs
            .join(hub_server::sha256(&weights()))
            .with_extension("part"),
        vec![7; 1000],
    )
    .unwrap();
    let files = setup.resolve("org/model").unwrap();
    // A cached file that changed on disk is noticed.
    std::fs::write(
        std::fs::canonicalize(&files.weights.path).unwrap(),
        b"changed",
    )
    .unwrap();
    let error = setup.error("org/model");
    assert!(
        error.contains("expected SHA-256") && error.contains("fetch it again"),
        "{error}"
    );
}

#[test]
fn a_part_as_long_as_the_whole_is_not_resumed() {
    let setup = setup();
    let blobs = setup.repo_dir().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(
        blobs
            .join(hub_server::sha256(&weights()))
            .with_extension("part"),
        weights(),
    )
    .unwrap();
    assert_eq!(
        std::fs::read(setup.resolve("org/model").unwrap().weights.path).unwrap(),
        weights()
    );
}

#[test]
fn a_silent_server_is_given_up() {
    let mut setup = setup();
    setup.config.stall_timeout = Duration::from_millis(300);
    setup
        .server
        .answer("model.safetensors", Answer::Silence(Duration::from_secs(3)));
    assert!(setup.error("org/model").contains("nothing arrived"));
    assert!(setup.finished().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let setup = setup();
    let blobs = setup.repo_dir().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::os::unix::fs::symlink(
        "/dev/full",
        blobs
            .join(hub_server::sha256(&weights()))
            .with_extension("part"),
    )
    .unwrap();
    let error = setup.error("org/model");
    assert!(error.contains("no space left"), "{error}");
    assert!(setup.finished().is_empty());
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let mut setup = setup();
    let file = setup.cache.path().join("file");
    std::fs::write(&file, "").unwrap();
    setup.config.cache = file.join("hub");
    let error = setup.error("org/model");
    assert!(error.contains("HF_HOME"), "{error}");
}

#[test]
fn the_catalogue_says_what_is_cached_and_known_weights_are_checked() {
    let mut setup = setup();
    setup.server.repo("dhkim2810/MobileSAM");
    setup
        .server
        .put("mobile_sam.pt", File::large(b"not the published bytes"));
    let entry = |setup: &Setup| {
        catalogue(&setup.hub())
            .into_iter()
            .find(|e| e.name == "mobile-sam")
            .unwrap()
    };
    assert!(!entry(&setup).cached);
    let error = setup.error("mobile-sam");
    assert!(
        error.contains("the published weights have 6dbb90523a35330f")
            && error.contains("give dhkim2810/MobileSAM@main"),
        "{error}"
    );
    // At another revision nothing is known of it.
    setup.resolve("mobile-sam@v2").unwrap();
    assert!(!entry(&setup).cached);
    setup.server.remove("config.json");
    setup.server.remove("model.safetensors");
    setup.server.commit(OTHER);
    setup.server.put("mobile_sam.pt", File::large(&weights()));
    ModelRef::Hub(HubRepo::new("dhkim2810/MobileSAM", "main").unwrap())
        .pull(&setup.hub(), &mut ())
        .unwrap();
    setup.config.offline = true;
    let listed = entry(&setup);
    assert!(
        listed.cached && listed.files[0].bytes == Some(800_000),
        "{listed:?}"
    );
    assert!(
        serde_json::to_string(&listed)
            .unwrap()
            .contains("\"role\":\"segmenter\"")
    );
}
