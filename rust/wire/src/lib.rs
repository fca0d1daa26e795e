//! What goes over the wire to and from the log, many events a call.
//!
//! Rules: bytes in, bytes out, no I/O and no clock; nothing here decides what is right. Whatever is not exactly what an
//! append of our own expects ends its row, and the caller asks the log itself, in its careful way, what happened.

#![forbid(unsafe_code)]

mod acks;
mod appends;
mod drafts;
mod envelope;
mod events;
mod frames;
mod packing;
mod publish;
mod scan;
mod split;

pub use appends::{Appends, Lane, LaneEnd, Limits};
pub use drafts::Draft;
pub use events::{Hash, Place, event};
pub use frames::{Frame, Message, first_frame};
pub use packing::{Packer, Packing, Unpacker};
pub use scan::{Events, Found, Scan};
pub use split::{Split, Splitter};
