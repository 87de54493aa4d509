//! Addresses of streams: what FFmpeg opens, and what may be shown of it.

use std::{fmt, path::Path, str::FromStr};

/// Schemes of network streams, and FFmpeg's protocol of each.
const SCHEMES: [(&str, &str); 13] = [
    ("rtsp", "rtp"),
    ("rtsps", "tls"),
    ("http", "http"),
    ("https", "https"),
    ("udp", "udp"),
    ("rtp", "rtp"),
    ("tcp", "tcp"),
    ("rtmp", "rtmp"),
    ("rtmps", "rtmps"),
    ("srt", "srt"),
    ("mmsh", "mmsh"),
    ("mmst", "mmst"),
    ("rist", "rist"),
];
/// Devices by their prefix, and FFmpeg's name of each.
const DEVICES: [(&str, &str); 4] = [
    ("v4l2", "v4l2"),
    ("lavfi", "lavfi"),
    ("dshow", "dshow"),
    ("avfoundation", "avfoundation"),
];
/// Where Linux has its cameras and capture cards.
const VIDEO_DEVICES: &str = "/dev/video";

/// The address of a stream that has a pace of its own: a network stream (`rtsp://camera/live`, `udp://239.0.0.1:1234`), or a device of
/// FFmpeg's (`/dev/video0`, `v4l2:/dev/video0`, `lavfi:testsrc2,realtime`).
///
/// It displays without user name, password, query and fragment, which may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamAddress {
    /// As FFmpeg takes it.
    pub(super) url: String,
    /// FFmpeg's name of the device; none for network streams.
    pub(super) device: Option<&'static str>,
    /// FFmpeg's protocol that it needs; none for devices.
    pub(super) protocol: Option<&'static str>,
    shown: String,
}

/// A text that is no address of a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}: not the address of a stream; give rtsp://, http(s)://, udp://, rtp://, tcp://, rtmp:// or srt:// and a host, /dev/videoN, or a \
     device as v4l2:/dev/video0"
)]
pub struct StreamAddressError(String);

impl fmt::Debug for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamAddress({})", self.shown)
    }
}

impl fmt::Display for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl FromStr for StreamAddress {
    type Err = StreamAddressError;

    fn from_str(text: &str) -> Result<Self, StreamAddressError> {
        let error = || StreamAddressError(without_secrets(text));
        if text.starts_with(VIDEO_DEVICES) {
            return Ok(Self::of_device("v4l2", text, text));
        }
        if let Some((prefix, rest)) = text.split_once(':')
            && let Some((_, device)) = DEVICES.iter().find(|(name, _)| *name == prefix)
        {
            return match rest {
                "" => Err(error()),
                rest => Ok(Self::of_device(device, rest, text)),
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(error)?;
        let scheme = scheme.to_ascii_lowercase();
        let known = SCHEMES.iter().find(|(name, _)| *name == scheme);
        let (_, protocol) = known.ok_or_else(error)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // `udp://:1234` listens at all addresses.
        if authority.rsplit('@').next().is_none_or(str::is_empty) {
            return Err(error());
        }
        Ok(Self {
            url: format!("{scheme}://{rest}"),
            device: None,
            protocol: Some(protocol),
            shown: without_secrets(text),
        })
    }
}

impl StreamAddress {
    fn of_device(device: &'static str, url: &str, shown: &str) -> Self {
        Self {
            url: url.to_owned(),
            device: Some(device),
            protocol: None,
            shown: shown.to_owned(),
        }
    }

    /// Whether a text is meant as the address of a stream, rather than as a path: it begins with one of the schemes or devices.
    pub fn is_meant_by(text: &str) -> bool {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let is_scheme = scheme.is_some_and(|scheme| {
            SCHEMES
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(scheme))
        });
        let is_device = || {
            text.split_once(':').is_some_and(|(prefix, _)| {
                DEVICES.iter().any(|(name, _)| *name == prefix) && !Path::new(text).exists()
            })
        };
        is_scheme || text.starts_with(VIDEO_DEVICES) || is_device()
    }

    /// Whether it is a device of this machine.
    pub fn is_device(&self) -> bool {
        self.device.is_some()
    }

    /// A name for outputs: letters, digits, dots and hyphens, without anything secret.
    pub fn name(&self) -> String {
        let shown = match self.shown.split_once("://") {
            Some((_, rest)) => rest,
            None => &self.shown,
        };
        let mut name = String::new();
        for c in shown.chars().take(100) {
            let plain = c.is_ascii_alphanumeric() || c == '.' && !name.ends_with(['.', '-']);
            if plain {
                name.push(c);
            } else if !name.ends_with('-') {
                name.push('-');
            }
        }
        match name.trim_matches(['-', '.']) {
            "" => "stream".to_owned(),
            name => name.to_owned(),
        }
    }
}

/// A text as it may be shown: of an address with `://` user name, password, query and fragment are left out. Where a password holds
/// characters that should have been escaped, rather too much is left out than too little.
pub fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let plain = rest.split(['?', '#']).next().unwrap_or_default();
    let authority = plain.split('/').next().unwrap_or_default();
    let shown = match plain.rsplit_once('@') {
        Some((_, shown)) => shown,
        None if authority.contains(':') && rest.contains('@') => "…",
        None => plain,
    };
    format!("{scheme}://{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> StreamAddress {
        text.parse().unwrap()
    }

    #[test]
    fn passwords_and_queries_are_never_shown() {
        for (text, shown, name) in [
            (
                "rtsp://me:secret@cam.local:554/live/ch1?token=secret#secret",
                "rtsp://cam.local:554/live/ch1",
                "cam.local-554-live-ch1",
            ),
            ("RTSP://10.0.0.7/", "RTSP://10.0.0.7/", "10.0.0.7"),
            ("http://u:p@ss@host/a", "http://host/a", "host-a"),
            ("http://u:p/secret@host/a", "http://host/a", "host-a"),
            ("rtsp://me:sec?ret@host/a", "rtsp://…", "stream"),
            ("udp://@:1234?fifo_size=3", "udp://:1234", "1234"),
            ("/dev/video0", "/dev/video0", "dev-video0"),
            (
                "lavfi:testsrc2=s=320x240,realtime",
                "lavfi:testsrc2=s=320x240,realtime",
                "lavfi-testsrc2-s-320x240-realtime",
            ),
            ("udp://[::1]:9", "udp://[::1]:9", "1-9"),
        ] {
            let address = parsed(text);
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(address.name(), name, "{text}");
            let debug = format!("{address:?} {}", address.name());
            assert!(!debug.contains("secret"), "{debug}");
            assert!(StreamAddress::is_meant_by(text), "{text}");
        }
        // What FFmpeg gets is whole.
        assert_eq!(parsed("RTSP://me:pw@h/x?a=b").url, "rtsp://me:pw@h/x?a=b");
    }

    #[test]
    fn what_is_no_stream_is_refused_without_its_secrets() {
        for text in [
            "",
            "clip.mp4",
            "file:///etc/passwd",
            "rtsp://",
            "ftp://me:secret@host/a",
            "v4l2:",
        ] {
            let error = text.parse::<StreamAddress>().unwrap_err().to_string();
            assert!(error.contains("not the address of a stream"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        for path in ["clip.mp4", "a/b.dcm", "-", "c:/x.png", "igtl://host:1"] {
            assert!(!StreamAddress::is_meant_by(path), "{path}");
        }
    }
}
