//! Finds the pieces of ASCII text many at a time: a window of 64 bytes becomes one bit for each class of each byte, and
//! the boundaries follow by arithmetic on these bits.
//!
//! A window begins where a piece begins, so nothing before it matters. What its last bytes say may depend on what comes
//! after them: the window ends at the last boundary that cannot change, and the next one begins there. Characters beyond
//! ASCII, and the few turns that do not follow from a byte and its neighbours, end a window early; the piece there is
//! found by `Pattern::piece`, which knows everything.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "positions in a window and in a text, which is shorter than isize::MAX"
)]

use super::masks::{Masks, WINDOW};
use super::{END_OF_TEXT, Pattern};

/// How many characters after it a boundary may depend on, but for whitespace: those of a contraction.
const LOOK_AHEAD: u32 = 4;
/// A window, and as many bytes after it as may be read of a piece that begins in it.
pub(crate) const VIEW: usize = WINDOW + BLOCK;
/// How many bytes of a piece are read at once.
const BLOCK: usize = 16;

/// What is done with every piece. `piece` is to be `#[inline(always)]`.
pub(crate) trait Visit {
    /// Take the piece `[start, end)`; `block` is sixteen bytes from its start as a number, zeros after the end of the
    /// text.
    fn piece(&mut self, start: usize, end: usize, block: u128);

    /// Tell whether enough was seen. Asked now and then.
    fn is_enough(&self) -> bool;
}

/// Give every piece of `text` to `visit`, in order, until it has enough.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled anew for each level")]
pub(crate) fn each_piece(
    pattern: Pattern,
    text: &str,
    classify: &impl Fn(&[u8; WINDOW]) -> Masks,
    visit: &mut impl Visit,
) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while !visit.is_enough() {
        let rest = bytes.get(start..).unwrap_or_default();
        let last;
        let view = match rest.first_chunk::<VIEW>() {
            Some(view) => view,
            None if rest.is_empty() => return,
            None => {
                last = padded(rest);
                &last
            }
        };
        let mut ends = window_ends(pattern, view, rest.len(), classify);
        if ends == 0 {
            let Some(piece) = pattern.piece(text, start) else { return };
            visit.piece(start, piece.end, block(view, 0));
            start = piece.end;
            continue;
        }
        let mut at = 0;
        while ends != 0 {
            let end = ends.trailing_zeros();
            ends &= ends - 1;
            visit.piece(start + at as usize, start + end as usize, block(view, at as usize));
            at = end;
        }
        start += at as usize;
    }
}

/// Return where pieces end in the window at the start of `view`, one bit each; none where that takes a closer look.
/// `rest` is how many bytes the text has from there on.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled anew for each level")]
fn window_ends(pattern: Pattern, view: &[u8; VIEW], rest: usize, classify: &impl Fn(&[u8; WINDOW]) -> Masks) -> u64 {
    let Some((window @ [first, second, ..], _)) = view.split_first_chunk::<WINDOW>() else { return 0 };
    // Text that begins beyond ASCII, perhaps after a blank or a mark, mostly goes on there.
    if (first | second) & 0x80 != 0 {
        return 0;
    }
    let found = Window::of(window, rest, classify).boundaries(pattern);
    // The end of a text that fills its window has no bit: what is certain before it comes first.
    if found.closed && rest < WINDOW { found.starts | 1 << rest } else { found.starts & found.settled }
}

/// Return the sixteen bytes at `at`, a place in the window, as a number.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled anew for each level")]
pub(crate) fn block(view: &[u8; VIEW], at: usize) -> u128 {
    let at = at & (WINDOW - 1);
    view.get(at..at + BLOCK).and_then(<[u8]>::first_chunk).map_or(0, |block| u128::from_le_bytes(*block))
}

/// Find the next pieces of `text` from `start`, which is the end of a piece or 0, that no further text can change, and
/// put where each ends into `ends`: none where there are no more. Return the offset after the last byte that any of the
/// decisions looked at.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled anew for each level")]
pub(crate) fn settled_ends(
    pattern: Pattern,
    text: &str,
    start: usize,
    ends: &mut Vec<usize>,
    classify: &impl Fn(&[u8; WINDOW]) -> Masks,
) -> usize {
    ends.clear();
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    if let [0..=0x7f, 0..=0x7f, ..] = rest {
        let found = boundaries_at_start(pattern, rest, classify);
        let mut starts = found.starts & found.settled;
        if starts != 0 {
            while starts != 0 {
                ends.push(start + starts.trailing_zeros() as usize);
                starts &= starts - 1;
            }
            return start + WINDOW.min(rest.len());
        }
    }
    match pattern.piece(text, start) {
        Some(piece) if piece.reach != END_OF_TEXT => {
            ends.push(piece.end);
            piece.reach
        }
        _ => start,
    }
}

/// Return all pieces of a text that fits into a window, if it is plain enough for one.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled anew for each level")]
pub(crate) fn last_pieces(
    pattern: Pattern,
    rest: &[u8],
    classify: &impl Fn(&[u8; WINDOW]) -> Masks,
) -> Option<Boundaries> {
    match rest {
        [] | [0x80..=0xff, ..] => return None,
        _ if rest.len() > WINDOW => return None,
        _ => {}
    }
    Some(boundaries_at_start(pattern, rest, classify)).filter(|found| found.closed)
}

/// Return all pieces of a text of `len` bytes at the start of `view`, zeros after it, if it is plain enough for a window.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled anew for each level")]
pub(crate) fn view_pieces(
    pattern: Pattern,
    view: &[u8; VIEW],
    len: usize,
    classify: &impl Fn(&[u8; WINDOW]) -> Masks,
) -> Option<Boundaries> {
    let window = view.first_chunk::<WINDOW>()?;
    Some(Window::of(window, len, classify).boundaries(pattern)).filter(|found| found.closed)
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled anew for each level")]
fn boundaries_at_start(pattern: Pattern, rest: &[u8], classify: &impl Fn(&[u8; WINDOW]) -> Masks) -> Boundaries {
    match rest.first_chunk::<WINDOW>() {
        Some(window) => Window::of(window, rest.len(), classify).boundaries(pattern),
        None => Window::of(&padded(rest), rest.len(), classify).boundaries(pattern),
    }
}

/// Where pieces begin in a window, but for the first, one bit each.
#[derive(Clone, Copy)]
pub(crate) struct Boundaries {
    pub(crate) starts: u64,
    /// The places that no text after the window can make a beginning, or keep from being one.
    pub(crate) settled: u64,
    /// Whether the text ends with the window and these are all that it has.
    pub(crate) closed: bool,
}

/// The classes of the first bytes of a text, of which the first begins a piece.
struct Window<'a> {
    bytes: &'a [u8; WINDOW],
    masks: Masks,
    /// Everything in no other class: `[^\s\p{L}\p{N}]`.
    symbol: u64,
    /// How many bytes count: those before the first character beyond ASCII.
    width: u32,
    /// Whether the text ends where the window does.
    closed: bool,
}

impl<'a> Window<'a> {
    /// Read `bytes`, the start of a text of `len` bytes.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled anew for each level")]
    fn of(bytes: &'a [u8; WINDOW], len: usize, classify: &impl Fn(&[u8; WINDOW]) -> Masks) -> Self {
        let mut masks = classify(bytes);
        let width = masks.high.trailing_zeros().min(WINDOW.min(len) as u32);
        let valid = below(width);
        masks.letter &= valid;
        masks.lower &= valid;
        masks.digit &= valid;
        masks.blank &= valid;
        masks.space &= valid;
        masks.newline &= valid;
        masks.apostrophe &= valid;
        masks.slash &= valid;
        let symbol = valid & !(masks.letter | masks.digit | masks.space);
        Self { bytes, masks, symbol, width, closed: width as usize == len }
    }

    /// Return where pieces begin: the places of `Pattern::piece`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled anew for each level")]
    fn boundaries(&self, pattern: Pattern) -> Boundaries {
        let Masks { letter, lower, digit, blank, space, newline, slash, .. } = self.masks;
        let symbol = self.symbol;
        let after_symbol = symbol << 1;
        // A symbol that stands alone is the lead of the word after it; one after a symbol or a blank belongs to those.
        let mut starts = letter & (digit << 1 | newline << 1 | after_symbol & (symbol << 2 | blank << 2));
        starts |= symbol & !after_symbol & !(blank << 1);
        starts |= digit & !(digit << 1) | fourth_digits(digit);
        // Line breaks right after symbols belong to these.
        let absorbed = (newline.wrapping_add(newline & after_symbol) ^ newline) & newline;
        let run_start = space & !(space << 1) & !absorbed;
        let mut after_break = space & !newline & newline << 1;
        let mut before_other = space & !newline & !(space >> 1);
        // A run of whitespace ends a piece at its last break only: one with another break further on is left to `piece`.
        let line = space & !newline;
        let broken_again = line.wrapping_add(after_break) & !line & newline;
        let mut stop = if broken_again == 0 { 0 } else { highest(after_break & below(broken_again.trailing_zeros())) };
        let tail = u64::BITS - (!space & below(self.width)).leading_zeros();
        match pattern {
            Pattern::O200k => {
                starts |= letter & !lower & lower << 1;
                stop |= slash & absorbed << 1;
            }
            Pattern::Cl100k if self.closed => after_break &= below(tail) | absorbed << 1,
            Pattern::Cl100k => {}
        }
        if self.closed {
            before_other &= !highest(below(self.width));
        }
        starts |= run_start | after_break | before_other;
        if self.masks.apostrophe & letter >> 1 != 0 {
            starts = self.contractions(pattern, starts);
        }
        let known = below(stop.trailing_zeros());
        let settled = known & below(tail.min(self.width.saturating_sub(LOOK_AHEAD)) + 1);
        Boundaries { starts: starts & !1 & known, settled, closed: self.closed && stop == 0 }
    }

    /// Move the boundaries at English contractions: part of the word before them, or pieces of their own.
    #[inline(never)]
    fn contractions(&self, pattern: Pattern, mut starts: u64) -> u64 {
        let letter = self.masks.letter;
        let byte = |at: u32| self.bytes.get(at as usize).map_or(0, u8::to_ascii_lowercase);
        let mut marks = self.masks.apostrophe & letter >> 1;
        while marks != 0 {
            let at = marks.trailing_zeros();
            marks &= marks - 1;
            let possible = match pattern {
                Pattern::O200k => letter << 1,
                Pattern::Cl100k => starts | 1,
            };
            let end = match (byte(at + 1), byte(at + 2)) {
                (b's' | b't' | b'm' | b'd', _) => at + 2,
                (b'r' | b'v', b'e') | (b'l', b'l') => at + 3,
                _ => continue,
            };
            if possible & 1 << at == 0 || end > self.width {
                continue;
            }
            starts &= !(below(end) & !below(at + u32::from(pattern == Pattern::Cl100k)));
            if end < u64::BITS {
                starts |= letter & 1 << end;
                if pattern == Pattern::O200k {
                    marks &= !(1 << end);
                }
            }
        }
        starts
    }
}

/// Return the last bytes of a text, and zeros.
fn padded<const N: usize>(rest: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let len = rest.len().min(N);
    if let (Some(to), Some(from)) = (bytes.get_mut(..len), rest.get(..len)) {
        to.copy_from_slice(from);
    }
    bytes
}

/// Return where the fourth, seventh … digit of a number stands: numbers come three digits at a time.
#[inline]
fn fourth_digits(digit: u64) -> u64 {
    let mut fourth = digit & digit << 1 & digit << 2 & digit << 3;
    let mut starts = 0;
    while fourth != 0 {
        let first = fourth.trailing_zeros();
        let end = first + (!(digit >> first)).trailing_zeros();
        starts |= (first..end).step_by(3).fold(0, |bits, at| bits | 1 << at);
        fourth &= !below(end);
    }
    starts
}

#[inline]
const fn below(bit: u32) -> u64 {
    if bit >= u64::BITS { u64::MAX } else { (1 << bit) - 1 }
}

/// Return the highest bit alone.
#[inline]
const fn highest(bits: u64) -> u64 {
    if bits == 0 { 0 } else { 1 << (u64::BITS - 1 - bits.leading_zeros()) }
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
