//! Where the hub is, where its cache is, and who asks.

use super::error::HubError;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the hub, as the Python package `huggingface_hub` understands them.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Address of the hub without a slash at the end.
    pub endpoint: String,
    /// Folder of the cache: `models--ORG--NAME` lie in it.
    pub cache: PathBuf,
    /// Token sent with requests.
    pub token: Option<String>,
    /// Whether only the cache may be used.
    pub offline: bool,
    /// A download fails if nothing arrives for this long.
    pub stall_timeout: Duration,
}

impl HubConfig {
    /// The public hub with the cache in `cache`, without a token.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            endpoint: "https://huggingface.co".to_owned(),
            cache: cache.into(),
            token: None,
            offline: false,
            stall_timeout: Duration::from_secs(60),
        }
    }

    /// Settings from the environment:
    ///
    /// - cache: `HF_HUB_CACHE`, else `HUGGINGFACE_HUB_CACHE`, else `hub` in `HF_HOME`, else in
    ///   `XDG_CACHE_HOME/huggingface`, else in `~/.cache/huggingface`;
    /// - hub: `HF_ENDPOINT`;
    /// - token: `HF_TOKEN`, else `HUGGING_FACE_HUB_TOKEN`, else the file `HF_TOKEN_PATH`, else the file `token` in
    ///   `HF_HOME`; the files are left alone where `HF_HUB_DISABLE_IMPLICIT_TOKEN` is set;
    /// - cache only: `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` is `1`, `ON`, `YES` or `TRUE`.
    ///
    /// # Errors
    /// [`HubError::NoHome`] if none of these says where the cache is.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// As [`HubConfig::from_env`], with `lookup` in the place of the environment.
    ///
    /// # Errors
    /// As [`HubConfig::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, HubError> {
        let var = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let text = |name: &str| var(name).and_then(|value| value.into_string().ok());
        let flag = |name: &str| {
            text(name).is_some_and(|v| {
                matches!(v.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
            })
        };
        let user_home = || {
            var("HOME")
                .map(PathBuf::from)
                .or_else(std::env::home_dir)
                .filter(|home| !home.as_os_str().is_empty())
        };
        let expand = |value: OsString| {
            let path = PathBuf::from(value);
            match (path.strip_prefix("~"), user_home()) {
                (Ok(rest), Some(home)) => home.join(rest),
                _ => path,
            }
        };
        let hf_home = || {
            let xdg = || var("XDG_CACHE_HOME").map(|v| expand(v).join("huggingface"));
            let default = || user_home().map(|home| home.join(".cache").join("huggingface"));
            var("HF_HOME").map(expand).or_else(xdg).or_else(default)
        };
        let cache = var("HF_HUB_CACHE")
            .or_else(|| var("HUGGINGFACE_HUB_CACHE"))
            .map(expand);
        let cache = cache
            .or_else(|| hf_home().map(|home| home.join("hub")))
            .ok_or(HubError::NoHome)?;
        // Symbolic links in the cache are relative: the folder must not depend on where the program runs.
        let cache = std::path::absolute(&cache).unwrap_or(cache);
        let file = || {
            let path = var("HF_TOKEN_PATH")
                .map(expand)
                .or_else(|| hf_home().map(|home| home.join("token")))?;
            std::fs::read_to_string(path)
                .ok()
                .filter(|_| !flag("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        };
        let token = text("HF_TOKEN")
            .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
            .or_else(file);
        let token = token
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());
        let offline = flag("HF_HUB_OFFLINE") || flag("TRANSFORMERS_OFFLINE");
        let mut config = Self {
            token,
            offline,
            ..Self::new(cache)
        };
        if let Some(endpoint) = text("HF_ENDPOINT") {
            config.endpoint = endpoint.trim_end_matches('/').to_owned();
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn config(vars: &[(&str, &str)]) -> HubConfig {
        let vars: HashMap<&str, &str> = vars.iter().copied().collect();
        HubConfig::from_lookup(|name| vars.get(name).map(OsString::from)).unwrap()
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        for (vars, expected) in [
            (&[("HOME", "/h")][..], "/h/.cache/huggingface/hub"),
            (
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                "/x/huggingface/hub",
            ),
            (
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/f")],
                "/f/hub",
            ),
            (&[("HOME", "/h"), ("HF_HOME", "~/f")], "/h/f/hub"),
            (
                &[("HF_HOME", "/f"), ("HUGGINGFACE_HUB_CACHE", "/old")],
                "/old",
            ),
            (
                &[
                    ("HF_HOME", "/f"),
                    ("HUGGINGFACE_HUB_CACHE", "/old"),
                    ("HF_HUB_CACHE", "/new"),
                ],
                "/new",
            ),
            (&[("HF_HOME", "/f"), ("HF_HUB_CACHE", "")], "/f/hub"),
        ] {
            assert_eq!(config(vars).cache, PathBuf::from(expected), "{vars:?}");
        }
    }

    #[test]
    fn switches_endpoint_and_tokens_are_read() {
        let plain = config(&[("HOME", "/h")]);
        assert!(!plain.offline && plain.token.is_none());
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert!(config(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "yes")]).offline);
        assert!(!config(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "0")]).offline);
        assert_eq!(
            config(&[("HOME", "/h"), ("HF_ENDPOINT", "http://mirror:1/")]).endpoint,
            "http://mirror:1"
        );
        assert_eq!(
            config(&[("HOME", "/h"), ("HF_TOKEN", " hf_a\n")])
                .token
                .as_deref(),
            Some("hf_a")
        );

        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        let home = dir.path().to_str().unwrap();
        assert_eq!(
            config(&[("HF_HOME", home)]).token.as_deref(),
            Some("hf_file")
        );
        assert_eq!(
            config(&[("HF_HOME", home), ("HF_TOKEN", "hf_var")])
                .token
                .as_deref(),
            Some("hf_var")
        );
        assert_eq!(
            config(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token,
            None
        );
    }
}
