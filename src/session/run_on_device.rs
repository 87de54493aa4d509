//! Frames on the GPU.

use crate::session::{
    device_detections::DeviceDetections,
    device_frame::{CheckedFrame, DeviceFrame},
    error::SessionError,
    executor::resident::on_device::OnDevice,
    session::Session,
};

impl Session {
    /// Finds and outlines the objects of a frame that is in the memory of the session's GPU already. The results stay there: nothing is
    /// copied to or from the host, and the host does not wait.
    ///
    /// ```no_run
    /// use candle_core::{DType, Device, Tensor};
    /// use ultramotion::{Session, engine::DeviceSpec};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let device = Device::new_cuda(0)?;
    /// let mut session = Session::builder().device(DeviceSpec::try_from(&device)?).max_objects(16).build()?;
    /// let frame = Tensor::zeros((1080, 1920, 3), DType::U8, &device)?; // RGB, for instance of a decoder or a renderer
    /// let found = session.run_on_device(&frame)?;
    /// let sides = found.boxes().narrow(1, 2, 2)?.sub(&found.boxes().narrow(1, 0, 2)?)?; // width and height, on the GPU
    /// let found = found.download()?; // the one copy, where the host needs the results
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The frame is a contiguous tensor `[H, W, 3]` u8 (RGB) or `[H, W, 1]` (grey), or two planes ([`DeviceFrame::Nv12`]), of any size and of
    /// any candle `Device` of the session's GPU.
    ///
    /// **Order.** The work begins after all that the calling thread has enqueued on the stream of the frame's `Device`, and what it enqueues
    /// there afterwards comes after the work: the frame may be overwritten or dropped, and the results used, at once. `Device::new_cuda` gives
    /// each thread a stream of its own: make the frame on the thread that calls, or synchronise first. The stream must not be in the middle
    /// of the capture of a graph.
    ///
    /// **Cost.** The host does not know how many objects there are, so that the mask decoder runs for `max_objects` of them
    /// ([`crate::session::SessionBuilder::max_objects`], 100 by default) in each frame, in groups of 16: a smaller maximum is faster. The first
    /// call captures the models (beside what other methods have captured), which uploads and waits.
    ///
    /// # Errors
    /// [`SessionError::Without`] without a detector; [`SessionError::DeviceFrame`] for a session on the CPU (in a build without the feature
    /// `cuda` there is no other), and for a tensor of the host, of another GPU, of another type or shape, or not contiguous;
    /// [`SessionError::Model`] if memory ran out or the device failed. Outputs of a model that are not finite are no error here: see
    /// [`DeviceDetections::not_finite`].
    pub fn run_on_device<'a>(
        &mut self,
        frame: impl Into<DeviceFrame<'a>>,
    ) -> Result<DeviceDetections, SessionError> {
        let models = self.models()?;
        let frame = CheckedFrame::new(frame.into(), self.engine())?;
        let number = self.next_number();
        let executor = match &mut self.on_device {
            Some(executor) => executor,
            none => none.insert(OnDevice::new(models)?),
        };
        Ok(executor.run(&frame, number)?)
    }
}
