//! A decoder that outlives its file: what a codec sets up is kept, on each thread, for the next file that begins alike.
//!
//! A Vorbis file carries some four thousand bytes of tables before its sound. Files of one corpus mostly carry the same, and
//! building decoders out of them cost more than decoding a spoken word. Whatever a file could leave behind is reset; a decoder
//! that panicked is not used again.

use std::cell::Cell;
use std::path::Path;

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, FinalizeResult};
use symphonia::core::errors::Result as StreamResult;
use symphonia::core::packet::Packet;

use super::AudioError;
use super::track::make_decoder;

thread_local! {
    /// The decoder of the file before.
    static KEPT: Cell<Option<Box<dyn AudioDecoder>>> = const { Cell::new(None) };
}

/// The decoder of one file.
pub(super) struct Decoder {
    /// `None` only while it is dropped.
    inner: Option<Box<dyn AudioDecoder>>,
    /// False while it decodes, and so for good where that panicked.
    is_whole: bool,
}

impl Decoder {
    /// Takes the kept one where the stream begins as its did, else makes one.
    pub fn of(path: &Path, params: &AudioCodecParameters) -> Result<Self, AudioError> {
        let kept = KEPT.take().filter(|kept| is_for(kept.as_ref(), params));
        let inner = match kept {
            Some(mut kept) => {
                kept.reset();
                kept
            }
            None => make_decoder(path, params)?,
        };
        Ok(Self {
            inner: Some(inner),
            is_whole: true,
        })
    }

    pub fn decode(&mut self, packet: &Packet) -> StreamResult<GenericAudioBufferRef<'_>> {
        let inner = self.inner.as_mut().expect("there until it is dropped");
        self.is_whole = false;
        let decoded = inner.decode(packet);
        self.is_whole = true;
        decoded
    }

    pub fn finalize(&mut self) -> FinalizeResult {
        let inner = self.inner.as_mut().expect("there until it is dropped");
        inner.finalize()
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let inner = self.inner.take();
        let kept =
            inner.filter(|inner| self.is_whole && inner.codec_params().codec == CODEC_ID_VORBIS);
        if kept.is_some() {
            // A thread that is ending keeps nothing.
            let _ = KEPT.try_with(|slot| slot.set(kept));
        }
    }
}

/// Whether a decoder was made of the same tables.
fn is_for(decoder: &dyn AudioDecoder, params: &AudioCodecParameters) -> bool {
    let made_of = decoder.codec_params();
    made_of.codec == CODEC_ID_VORBIS
        && params.codec == CODEC_ID_VORBIS
        && made_of.extra_data.is_some()
        && made_of.extra_data == params.extra_data
}
