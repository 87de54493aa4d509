//! Options of OpenIGTLink.

use crate::{inputs::usage, terminal::Terminal};
use clap::{Args, ValueEnum};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use ultramotion::{
    dicom::Window,
    igtl::CoordinateSystem,
    live::{
        IgtlAddress, IgtlInput, IgtlInputOptions, IgtlOutput, IgtlOutputOptions, MaskValues,
        PictureSent,
    },
    sources::SourceOptions,
};

#[derive(Debug, Args)]
#[command(next_help_heading = "OpenIGTLink")]
pub(crate) struct IgtlArgs {
    /// Serve results at this port: masks as IMAGE, boxes and centroids as POINT, classes as STRING, states as STATUS. A port alone is for
    /// this machine; 0.0.0.0:18944 is for all that reach it
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = listening)]
    pub(crate) igtl_serve: Option<SocketAddr>,
    /// Send the same to a server of OpenIGTLink, such as 3D Slicer's
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) igtl_connect: Option<IgtlAddress>,
    /// What the values of masks are
    #[arg(long, value_enum, value_name = "VALUES", default_value = "class")]
    igtl_mask: IgtlMask,
    /// Which picture goes out with the mask
    #[arg(long, value_enum, value_name = "PICTURE", default_value = "none")]
    igtl_picture: IgtlPicture,
    /// Coordinate system of what goes out, where it is not to be that of the input [default: the input's, RAS where it states none]
    #[arg(long, value_enum, value_name = "SYSTEM")]
    igtl_space: Option<IgtlSpace>,
    /// Name a device otherwise than Mask_Image, Frame_Image, Boxes_Image, Centroids_Image, Classes, Objects and Stream are named; repeatable
    #[arg(long, value_name = "DEVICE=NAME", value_parser = renamed)]
    igtl_name: Vec<(String, String)>,
}

/// Where images come from, by OpenIGTLink.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct IgtlInputArgs {
    /// Take the images of whoever connects to this port (PLUS, 3D Slicer) as input. A port alone is for this machine; 0.0.0.0:18945 is for
    /// all that reach it
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = listening)]
    pub(crate) igtl_listen: Option<SocketAddr>,
    /// Device name of the images that are read, of several that come [default: that of the first]
    #[arg(long, value_name = "NAME")]
    igtl_device: Option<String>,
    /// Grey window of images of 16 bits: the range of the type, or centre and width
    #[arg(
        long,
        value_name = "auto|CENTER,WIDTH",
        default_value = "auto",
        allow_hyphen_values = true
    )]
    igtl_window: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IgtlMask {
    /// The number of the class and 1
    Class,
    /// The number of the track, with --track
    Track,
    /// No masks are sent
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IgtlPicture {
    /// No picture
    None,
    /// The frame
    Frame,
    /// The frame with masks and boxes drawn in
    Overlay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IgtlSpace {
    /// Right, anterior, superior: 3D Slicer's
    Ras,
    /// Left, posterior, superior: DICOM's
    Lps,
}

/// A port of this machine alone, or an address and a port.
fn listening(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse()
        .map_err(|_| "give a port, or an address and a port as 0.0.0.0:18944".to_owned())
}

/// A device and its name.
fn renamed(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(device, name)| !device.is_empty() && !name.is_empty())
        .map(|(device, name)| (device.to_owned(), name.to_owned()))
        .ok_or_else(|| "give a device and its new name, as Mask_Image=Tumour".to_owned())
}

impl IgtlArgs {
    /// The outputs that were typed, and word of where they are.
    pub(crate) fn outputs(&self, terminal: &Terminal) -> anyhow::Result<Vec<IgtlOutput>> {
        let mut outputs = Vec::new();
        if let Some(address) = self.igtl_serve {
            let server = IgtlOutput::serve(address, self.options()?)?;
            let address = server.address().unwrap_or(address);
            terminal.say(&format!("igtl://{address}: serving {}", reach(address)));
            outputs.push(server);
        }
        if let Some(address) = &self.igtl_connect {
            outputs.push(IgtlOutput::connect(address, self.options()?)?);
        }
        Ok(outputs)
    }

    fn options(&self) -> anyhow::Result<IgtlOutputOptions> {
        let mut options = IgtlOutputOptions::default();
        options.mask = self.igtl_mask != IgtlMask::None;
        options.values = match self.igtl_mask {
            IgtlMask::Track => MaskValues::Tracks,
            IgtlMask::Class | IgtlMask::None => MaskValues::Classes,
        };
        options.picture = match self.igtl_picture {
            IgtlPicture::None => PictureSent::None,
            IgtlPicture::Frame => PictureSent::Frame,
            IgtlPicture::Overlay => PictureSent::Overlay,
        };
        options.coordinates = self.igtl_space.map(|space| match space {
            IgtlSpace::Ras => CoordinateSystem::Ras,
            IgtlSpace::Lps => CoordinateSystem::Lps,
        });
        let names = &mut options.names;
        for (device, name) in &self.igtl_name {
            let place = match device.as_str() {
                "Mask_Image" => &mut names.mask,
                "Frame_Image" => &mut names.picture,
                "Boxes_Image" => &mut names.boxes,
                "Centroids_Image" => &mut names.centroids,
                "Classes" => &mut names.classes,
                "Objects" => &mut names.objects,
                "Stream" => &mut names.stream,
                other => {
                    let problem = "is none of the devices that are sent; see --help";
                    return Err(usage(&format!("--igtl-name {other}"), problem));
                }
            };
            *place = name.clone();
        }
        Ok(options)
    }
}

/// Who reaches an address.
fn reach(address: SocketAddr) -> &'static str {
    match address.ip().is_loopback() {
        true => "this machine alone",
        false => "all that reach this address",
    }
}

impl IgtlInputArgs {
    /// How images are read. A stream without images counts as disconnected after `timeout`; with `every_frame` senders wait.
    fn options(
        &self,
        timeout: Duration,
        max_pixels: u64,
        every_frame: bool,
    ) -> anyhow::Result<IgtlInputOptions> {
        let window: Window = self
            .igtl_window
            .parse()
            .map_err(|e| usage("--igtl-window", e))?;
        let mut options = IgtlInputOptions::default();
        options.device = self.igtl_device.clone();
        options.window = window;
        options.max_pixels = max_pixels;
        options.silent = Some(timeout);
        options.wait = every_frame;
        Ok(options)
    }

    /// An input that listens, where one was typed. It waits for the first image as long as it takes.
    pub(crate) fn listen(
        &self,
        timeout: Duration,
        max_pixels: u64,
        every_frame: bool,
        terminal: &Terminal,
    ) -> anyhow::Result<Option<IgtlInput>> {
        let Some(address) = self.igtl_listen else {
            return Ok(None);
        };
        let options = self.options(timeout, max_pixels, every_frame)?;
        let input = IgtlInput::listen(address, options)?;
        let address = input.address().unwrap_or(address);
        terminal.say(&format!(
            "igtl://{address}: listening for {}",
            reach(address)
        ));
        Ok(Some(input))
    }

    /// An input that connects to `address`; without an image within `timeout` that is an error.
    pub(crate) fn connect(
        &self,
        address: &str,
        timeout: Duration,
        max_pixels: u64,
        every_frame: bool,
    ) -> anyhow::Result<IgtlInput> {
        let address: IgtlAddress = address.parse().map_err(|e| usage("--input", e))?;
        let mut options = self.options(timeout, max_pixels, every_frame)?;
        options.first = Some(timeout);
        Ok(IgtlInput::connect(&address, options)?)
    }
}

/// The scheme of addresses.
pub(crate) const SCHEME: &str = "igtl://";

/// How an input of a run reads: every image, with senders that wait.
pub(crate) fn recording(timeout: Duration, options: &SourceOptions) -> IgtlInputOptions {
    let mut reading = IgtlInputOptions::default();
    reading.window = options.dicom.window;
    reading.max_pixels = options.max_pixels;
    reading.silent = Some(timeout);
    reading.first = Some(timeout);
    reading.wait = true;
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_for_this_machine() {
        let local = listening("18944").unwrap();
        assert!(local.ip().is_loopback() && local.port() == 18944);
        assert!(!listening("0.0.0.0:18944").unwrap().ip().is_loopback());
        for bad in ["", "localhost", "70000", "1.2.3.4", ":18944"] {
            assert!(listening(bad).is_err(), "{bad}");
        }
        assert!(renamed("Mask_Image").is_err() && renamed("=x").is_err());
    }
}
